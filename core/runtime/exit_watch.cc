// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/exit_watch.h"

#include "core/log/log.h"
#include "core/runtime/convert.h"
#include "proto/events/task.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::task::v3;

void Publish(TaskEnv& env, const Task& task, std::string_view topic,
             const google::protobuf::Message& event) {
  const absl::Status published = env.events.Publish({.ns = task.ns()}, topic, event);
  if (!published.ok()) {
    log::Error(
        "cannot publish a task's event",
        {{"ns", task.ns()}, {"container", task.id()}, {"topic", topic}, {"error", published}});
  }
}

// The shim knows of the exit, so its announcement is on its way, unless it was made while we were
// away or got lost. A task that is deleted meanwhile is not kept, and its descriptors with it.
void ExpectAnnouncement(TaskEnv& env, const std::shared_ptr<Task>& waited, const Exit& exit) {
  env.shims.loop().After(env.timeouts().announce_exit, [&env, weak = std::weak_ptr(waited), exit] {
    const std::shared_ptr<Task> task = weak.lock();
    if (task == nullptr || task->exit_claimed() || task->phase() != Task::Phase::kReady) return;
    log::Warn("shim did not announce an exit", {{"ns", task->ns()}, {"container", task->id()}});
    env.shims.steps().Run([&env, task, exit] { AnnounceExit(env, task, exit); });
  });
}

void OnWaited(TaskEnv& env, const std::shared_ptr<Task>& task, const std::string& exec_id,
              const absl::StatusOr<pb::WaitResponse>& response) {
  if (!response.ok()) {
    // With the connection gone, the clean-up that follows tells how the init process ended.
    if (exec_id.empty() && IsClosed(response.status())) return;
    return task->FailWait(exec_id, response.status());
  }
  Exit exit = FromProto(*response);
  task->SetExit(exec_id, exit);
  if (exec_id.empty()) {
    exit.pid = task->Init().pid;
    ExpectAnnouncement(env, task, exit);
  }
}

}  // namespace

void WatchExit(TaskEnv& env, const std::shared_ptr<Task>& task, const std::string& exec_id) {
  pb::WaitRequest request;
  request.set_id(task->id());
  request.set_exec_id(exec_id);
  task->shim()->Call<pb::WaitResponse>(
      "Wait", request, absl::InfiniteFuture(),
      [&env, task, exec_id](const absl::StatusOr<pb::WaitResponse>& response) {
        OnWaited(env, task, exec_id, response);
      },
      /*waits=*/true);
}

void NoteExit(TaskEnv& env, const Task& task, const Exit& exit) {
  const absl::Status noted = Bundle(env.roots, task.ns(), task.id())
                                 .RecordExit({.status = exit.status, .exited_at = exit.exited_at});
  // The bundle may be gone; without the note a restart would announce the exit once more.
  if (!noted.ok() && !absl::IsNotFound(noted)) {
    log::Warn("cannot note an exit",
              {{"ns", task.ns()}, {"container", task.id()}, {"error", noted}});
  }
}

void AnnounceExit(TaskEnv& env, const std::shared_ptr<Task>& task, const Exit& exit) {
  if (!task->ClaimExit({})) return;
  PublishExit(env, *task, exit);
  NoteExit(env, *task, exit);
}

void PublishExit(TaskEnv& env, const Task& task, const Exit& exit) {
  ::containerd::events::TaskExit event;
  event.set_container_id(task.id());
  event.set_id(task.id());
  event.set_pid(exit.pid);
  event.set_exit_status(exit.status);
  *event.mutable_exited_at() = TimeToProto(exit.exited_at);
  Publish(env, task, "/tasks/exit", event);
}

void PublishDelete(TaskEnv& env, const Task& task, const Exit& exit) {
  ::containerd::events::TaskDelete event;
  event.set_container_id(task.id());
  event.set_pid(exit.pid);
  event.set_exit_status(exit.status);
  *event.mutable_exited_at() = TimeToProto(exit.exited_at);
  Publish(env, task, "/tasks/delete", event);
}

}  // namespace gantry::runtime
