// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/kernel/result.h"
#include "core/kernel/subprocess.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"
#include "shim/process/children.h"
#include "shim/process/command.h"
#include "shim/runtime/arguments.h"
#include "shim/runtime/command_log.h"
#include "shim/runtime/runtime_image.h"

namespace gantry::shim {

// What a container's runtime is, found once: its state is another runtime's garbage.
struct RuntimeSettings {
  std::string binary;  // a path
  std::string root;    // of the namespace
  bool debug = false;
  bool systemd_cgroup = false;
  std::vector<std::string> environment;  // RuntimeEnvironment()
};

struct RuntimeOutcome {
  bool ok = false;
  bool timed_out = false;
  bool killed = false;  // ended by a signal, at the deadline or by whomever: it could not clean up
  std::string error;  // of one that failed: the last error it logged, else what it wrote to stderr,
                      // else how it ended
  std::string output;  // what was captured of its stdout, then of its stderr
};

// A command of an OCI runtime, under way.
class RuntimeCommand {
 public:
  RuntimeCommand(RuntimeCommand&&) noexcept = default;

  // To be awaited in the turn of the start. An error is also left in the bundle's log.json, for
  // whoever looks there.
  Co<RuntimeOutcome> Finish() &&;

 private:
  friend class OciRuntime;
  RuntimeCommand(Command command, CommandLog log, std::string bundle)
      : command_(std::move(command)), log_(std::move(log)), bundle_(std::move(bundle)) {}

  Command command_;
  CommandLog log_;
  std::string bundle_;
};

// Runs commands of one OCI runtime for one container. `image`, which outlives it, is whatever
// runtime was used last.
class OciRuntime {
 public:
  OciRuntime(Loop& loop, Children& children, RuntimeImage& image, RuntimeSettings settings,
             std::string bundle)
      : loop_(loop),
        children_(children),
        image_(image),
        settings_(std::move(settings)),
        bundle_(std::move(bundle)) {}

  struct Streams {
    // Those of the container, for commands that make a process in it. Once it is started, the owner
    // closes its copies.
    std::array<kernel::Stdio, 3> stdio = {kernel::Stdio::Null(), kernel::Stdio::Pipe(),
                                          kernel::Stdio::Pipe()};
    std::string input;  // when stdin is a pipe
  };

  // `arguments` come from arguments.h. At the deadline the command is killed with all that it
  // started.
  kernel::Result<RuntimeCommand> Spawn(Arguments arguments, Streams streams, Time deadline);
  Co<RuntimeOutcome> Run(Arguments arguments, Time deadline,
                         std::optional<std::string> input = std::nullopt);

  // Whether the runtime has state of that container. Each tells of one that it does not know in
  // words of its own.
  bool Knows(const std::string& id) const;

  const RuntimeSettings& settings() const { return settings_; }

 private:
  kernel::Result<Command> Execute(CommandOptions options);

  Loop& loop_;
  Children& children_;
  RuntimeImage& image_;
  const RuntimeSettings settings_;
  const std::string bundle_;
};

}  // namespace gantry::shim
