// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_delete.h"

#include <string_view>
#include <utility>

#include "core/runtime/convert.h"
#include "core/runtime/exit_watch.h"
#include "core/runtime/task_end.h"
#include "proto/runtime/task/v3/shim.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::task::v3;

// Stock shims refuse with a text alone, under the code for "unknown".
absl::Status Refusal(const absl::Status& status) {
  const std::string_view text(status.message().data(), status.message().size());
  if (absl::IsUnknown(status) && text.find("cannot delete a ") != std::string_view::npos) {
    return FailedPrecondition("{}", text);
  }
  return status;
}

// An exit that its shim will hardly announce any more, because it happened while we were away.
bool Missed(const TaskEnv& env, const ProcessState& init) {
  return init.status == Status::kStopped && init.exited_at != absl::InfinitePast() &&
         init.exited_at + env.timeouts().announce_exit < absl::Now();
}

void Finish(TaskEnv& env, const std::shared_ptr<Task>& task, const absl::StatusOr<Exit>& exit) {
  if (!task->Move(Task::Phase::kReady, Task::Phase::kDeleting)) {
    // The shim died after it had answered. What happens to dead tasks frees the id.
    return task->FinishDelete(exit);
  }
  const std::shared_ptr<Shim> shim = task->shim();
  ShutDown(env, shim, [&env, task, shim, exit] {
    RemoveBundle(env, shim->bundle(), [&env, task, exit] {
      env.tasks.Erase(*task);
      task->FinishDelete(exit);
    });
  });
}

void OnDeleted(TaskEnv& env, const std::shared_ptr<Task>& task,
               const absl::StatusOr<pb::DeleteResponse>& response) {
  if (response.ok()) {
    const Exit exit = FromProto(*response);
    // A task that never ran has no exit of its own, yet whoever waits for one must not wait on.
    task->SetExit({}, exit);
    return Finish(env, task, exit);
  }
  // With the shim gone, the task is being buried, which answers the caller.
  if (IsClosed(response.status())) return;
  // The shim has nothing to delete (any more), but is still there itself.
  if (absl::IsNotFound(response.status())) return Finish(env, task, response.status());
  task->FinishDelete(Refusal(response.status()));
}

}  // namespace

void RunDelete(TaskEnv& env, const std::shared_ptr<Task>& task) {
  const ProcessState init = task->Init();
  if (Missed(env, init)) {
    AnnounceExit(env, task,
                 {.pid = init.pid, .status = init.exit_status, .exited_at = init.exited_at});
  }
  pb::DeleteRequest request;
  request.set_id(task->id());
  task->shim()->Call<pb::DeleteResponse>(
      "Delete", request, env.In(env.timeouts().runtime_command),
      [&env, task](const absl::StatusOr<pb::DeleteResponse>& response) {
        OnDeleted(env, task, response);
      });
}

}  // namespace gantry::runtime
