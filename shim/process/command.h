// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "core/kernel/result.h"
#include "core/kernel/subprocess.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"
#include "shim/process/children.h"

namespace gantry::shim {

struct CommandOptions {
  // A stream that is a pipe is fed from `input` (0) or captured (1 and 2).
  kernel::SpawnOptions spawn;
  std::string input;
  size_t max_output_bytes =
      64UL << 10;          // of each stream; of what is longer the beginning is dropped
  Time deadline = kNever;  // then its process group gets SIGKILL, if it leads one, else it alone
};

struct CommandOutcome {
  Exit exit;
  bool timed_out = false;
  std::string output;
  std::string error_output;
};

// A command from its start to its end. Its end is that of its process: what it left running may
// keep its pipes open, which is not waited for.
class Command {
 public:
  // An error says which step of the start failed; then nothing runs.
  static kernel::Result<Command> Spawn(Loop& loop, Children& children, CommandOptions options);
  Command(Command&&) noexcept = default;

  pid_t pid() const { return pid_; }

  // To be awaited in the turn of the start.
  Co<CommandOutcome> Finish() &&;

 private:
  Command(Loop& loop, Children& children, CommandOptions options, kernel::Subprocess process);

  Loop* loop_;
  Children* children_;
  CommandOptions options_;
  pid_t pid_;
  kernel::UniqueFd input_;
  kernel::UniqueFd output_;
  kernel::UniqueFd error_output_;
};

// Both at once. A failed start is the Result's error.
Co<kernel::Result<CommandOutcome>> RunCommand(Loop& loop, Children& children,
                                              CommandOptions options);

}  // namespace gantry::shim
