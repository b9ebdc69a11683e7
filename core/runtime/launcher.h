// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>
#include <sys/resource.h>

#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/runtime/bootstrap.h"
#include "core/runtime/bundle.h"
#include "core/runtime/command.h"
#include "core/runtime/exit.h"
#include "core/runtime/program_file.h"
#include "core/runtime/steps.h"

namespace containerd::types {
class RuntimeInfo;
}

namespace gantry::runtime {

// Runs shim programs: `start`, `delete` and `-info`.
//
// Threads: all methods from any thread; `done` is called on the loop's or a step's thread. The
// launcher outlives its calls.
class Launcher {
 public:
  struct Options {
    std::string daemon_version;
    std::filesystem::path daemon_binary;  // what shims run with "publish"
    std::string grpc_address;
    std::string ttrpc_address;
    std::string socket_dir;                // empty: the shim's own choice
    std::vector<std::string> environment;  // "K=V", added to our own
    std::optional<rlimit> open_files;      // RLIMIT_NOFILE of the programs; absent: ours
    bool debug = false;
  };
  template <typename T>
  using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;

  Launcher(Loop& loop, Steps& steps, Options options)
      : loop_(loop), steps_(steps), options_(std::move(options)) {}

  // Runs `start` in the bundle. A program that refuses the modern dialect is asked once more in the
  // legacy one; what works is remembered for as long as the file is the same.
  //
  // Errors: Unknown with what the program wrote, DeadlineExceeded, those of ParseStartAnswer().
  void Start(const Bundle& bundle, const std::filesystem::path& program,
             std::optional<google::protobuf::Any> options, absl::Duration budget,
             Done<StartAnswer> done);

  // Runs `delete`, which kills what is left of the container of a shim that is gone.
  void Delete(const Bundle& bundle, const std::filesystem::path& program, absl::Duration budget,
              Done<Exit> done);

  // Asks the program about itself and the OCI runtime that these options name.
  void Info(const std::filesystem::path& program,
            const std::optional<google::protobuf::Any>& options, absl::Duration budget,
            Done<::containerd::types::RuntimeInfo> done);

  const Options& options() const { return options_; }

 private:
  struct StartCall;

  void RunStart(std::shared_ptr<StartCall> call);
  void OnStarted(const std::shared_ptr<StartCall>& call, absl::StatusOr<CommandOutput> output);
  std::optional<Dialect> KnownDialect(const ProgramFile& file);
  void Remember(const ProgramFile& file, Dialect dialect);

  Command MakeCommand(const std::string& ns, const std::string& id,
                      const std::filesystem::path& program, absl::Duration budget) const;

  Loop& loop_;
  Steps& steps_;
  const Options options_;
  base::Mutex mutex_;
  // As the programs were when it was found out.
  std::deque<std::pair<ProgramFile, Dialect>> dialects_ ABSL_GUARDED_BY(mutex_);
};

// The environment of shims in this namespace.
std::vector<std::string> ShimEnvironment(const Launcher::Options& options, const std::string& ns);

}  // namespace gantry::runtime
