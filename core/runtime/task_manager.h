// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/context.h"
#include "core/base/status.h"
#include "core/plugin/plugin.h"
#include "core/runtime/caller.h"
#include "core/runtime/task_env.h"
#include "core/runtime/task_types.h"

namespace containerd::types {
class Envelope;
class RuntimeInfo;
}  // namespace containerd::types

namespace gantry::runtime {

struct KillOptions {
  std::string exec_id;
  uint32_t signal = 0;
  bool all = false;
};

struct TerminalSize {
  uint32_t width = 0;
  uint32_t height = 0;
};

// Tasks: running containers and the processes in them, each in a shim.
//
// Nothing here waits: methods return at once and answer through `done`, once, when the shim has
// answered or the context ends. A change that was begun goes on when its caller leaves; a create
// whose caller left is undone. What the shims told is remembered, so most questions are answered
// without asking them. Exec ids are empty for the init process.
//
// Threads: all methods from any thread; `done` may be called on this one or on another, and must
//          not block.
// Errors:  NotFound for a task that does not exist; DeadlineExceeded when a shim exceeds its
//          budget; ResourceExhausted when too much is under way; Unknown "… ttrpc: closed" when the
//          shim is gone; else what the shim answered.
class TaskManager {
 public:
  // Takes up the tasks that an earlier daemon left running, without waiting for any, and sees to it
  // that the exchange passes each announcement of an exit on once. `mounts`, if any, makes what
  // shims cannot mount; all outlive the manager.
  static absl::StatusOr<std::unique_ptr<TaskManager>> Create(
      ShimManager& shims, metadata::Metadata& metadata, events::Exchange& events, BundleRoots roots,
      mount::MountManager* mounts = nullptr, std::filesystem::path sandboxes = {});
  // Stops the shim manager. Tasks go on.
  ~TaskManager();
  TaskManager(const TaskManager&) = delete;
  TaskManager& operator=(const TaskManager&) = delete;

  // Makes a task and gives the pid of its init process, which runs if the options say so.
  // AlreadyExists.
  void CreateTask(const Context& ctx, std::string id, CreateOptions options, Done<uint32_t> done);
  // Starts the process and gives its pid.
  void Start(const Context& ctx, const std::string& id, const std::string& exec_id,
             Done<uint32_t> done);
  // Removes a stopped task, and its shim with the last task there. Joins a removal under way.
  // FailedPrecondition while it runs.
  void Delete(const Context& ctx, const std::string& id, Done<Exit> done);
  void DeleteExec(const Context& ctx, const std::string& id, const std::string& exec_id,
                  Done<Exit> done);
  // Adds a process to the task, not yet running. AlreadyExists, InvalidArgument.
  void Exec(const Context& ctx, const std::string& id, ExecOptions options, Done<Nothing> done);

  // Runs a process to its end. Nobody else sees it where the shim has a call for that; elsewhere it
  // is an exec like others, under an id of its own. It is killed when the context ends.
  // FailedPrecondition once the init process has ended.
  void ExecSync(const Context& ctx, const std::string& id, ExecSyncOptions options,
                Done<ExecSyncResult> done);

  void Get(const Context& ctx, const std::string& id, const std::string& exec_id,
           Done<ProcessState> done);
  // All tasks of the namespace, in order of their ids. One whose shim does not answer has an
  // unknown status.
  void List(const Context& ctx, Done<std::vector<ProcessState>> done);
  // Answers when the process has ended and its output has been read (see AwaitOutput()).
  void Wait(const Context& ctx, const std::string& id, const std::string& exec_id, Done<Exit> done);

  // NotFound also for a process that has ended.
  void Kill(const Context& ctx, const std::string& id, const KillOptions& options,
            Done<Nothing> done);
  void ResizePty(const Context& ctx, const std::string& id, const std::string& exec_id,
                 TerminalSize size, Done<Nothing> done);
  // Closes the process's standard input.
  void CloseIo(const Context& ctx, const std::string& id, const std::string& exec_id,
               Done<Nothing> done);
  // The same without effect: for callers that ask to close nothing.
  void CheckExists(const Context& ctx, const std::string& id, const std::string& exec_id,
                   Done<Nothing> done);
  void Pause(const Context& ctx, const std::string& id, Done<Nothing> done);
  void Resume(const Context& ctx, const std::string& id, Done<Nothing> done);
  void Pids(const Context& ctx, const std::string& id, Done<std::vector<ProcessInfo>> done);
  void Checkpoint(const Context& ctx, const std::string& id, CheckpointOptions options,
                  Done<Nothing> done);
  void Update(const Context& ctx, const std::string& id, const google::protobuf::Any& resources,
              const std::map<std::string, std::string>& annotations, Done<Nothing> done);

  // Resource usage of the tasks that `selects` chooses by id. Tasks that cannot tell are left out.
  void Metrics(const Context& ctx, const std::function<bool(const std::string& id)>& selects,
               Done<std::vector<TaskMetric>> done);

  // What the shim program of `runtime` says about itself and about the OCI runtime that these
  // options name.
  void GetRuntimeInfo(const Context& ctx, const std::string& runtime,
                      std::optional<google::protobuf::Any> options,
                      Done<::containerd::types::RuntimeInfo> done);

 private:
  explicit TaskManager(std::unique_ptr<TaskEnv> env) : env_(std::move(env)) {}

  template <typename T>
  using Run = absl::AnyInvocable<void(const std::shared_ptr<Task>&, std::shared_ptr<Caller<T>>)>;
  template <typename T>
  void WithTask(const Context& ctx, const std::string& id, Done<T> done, Run<T> run);
  // A call to the shim that has no result and changes something: bounded by `budget` alone.
  void Change(
      const Context& ctx, const std::string& id, std::string_view method,
      std::unique_ptr<google::protobuf::MessageLite> request, absl::Duration budget,
      Done<Nothing> done, absl::AnyInvocable<void(Task&)> succeeded = [](Task&) {});

  std::unique_ptr<TaskEnv> env_;
};

inline constexpr plugin::Kind<TaskManager> kTasks{"io.containerd.runtime.v2"};

}  // namespace gantry::runtime
