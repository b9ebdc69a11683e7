// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_events.h"

#include <map>
#include <string_view>

#include "core/runtime/convert.h"
#include "core/runtime/exit_watch.h"
#include "proto/events/task.pb.h"
#include "proto/runtime/task/v3/shim.pb.h"
#include "proto/types/event.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::events;
namespace task_pb = ::containerd::task::v3;

// Each handler answers whether the event is news.
using News = events::Exchange::Admission;
using Handler = News (*)(TaskEnv&, const std::string& ns, const std::string& event);

template <typename Event>
std::shared_ptr<Task> TaskOf(TaskEnv& env, const std::string& ns, const std::string& bytes,
                             Event& event) {
  if (!event.ParseFromString(bytes)) return nullptr;
  return env.tasks.Find(ns, event.container_id());
}

News OnExit(TaskEnv& env, const std::string& ns, const std::string& bytes) {
  pb::TaskExit event;
  const std::shared_ptr<Task> task = TaskOf(env, ns, bytes, event);
  if (task == nullptr) return true;
  const bool init = event.id() == event.container_id();
  const std::string exec_id = init ? std::string() : event.id();
  // An exec that is deleted already is nobody's concern here; its announcement may still be new.
  if (!task->Find(exec_id)) return true;
  const Exit exit{.pid = event.pid(),
                  .status = event.exit_status(),
                  .exited_at = TimeFromProto(event.exited_at())};
  // Late news of an earlier process that had the same id says nothing of this one.
  if (task->IsEarlier(exec_id, exit)) return true;
  task->SetExit(exec_id, exit);
  if (!task->ClaimExit(exec_id)) return false;
  if (!init) return true;
  // Noted only when it is told: what the next daemon finds noted it does not tell again.
  return {true, [&env, task, exit] {
            env.shims.steps().Run([&env, task, exit] {
              // Meanwhile the id may belong to another task, whose exit this is not.
              if (env.tasks.Find(task->ns(), task->id()) == task) NoteExit(env, *task, exit);
            });
          }};
}

// Asks the shim what the init process does. An event may be late, and by then be overtaken by the
// answer to another call, so it is a reason to ask and no more.
void AskState(TaskEnv& env, const std::shared_ptr<Task>& task) {
  const std::shared_ptr<Shim> shim = task->shim();
  if (shim == nullptr || task->phase() != Task::Phase::kReady) return;
  task_pb::StateRequest request;
  request.set_id(task->id());
  shim->Call<task_pb::StateResponse>(
      "State", request, env.In(env.timeouts().state),
      [task, version = task->init_version()](const absl::StatusOr<task_pb::StateResponse>& answer) {
        // Without an answer, it is for whoever wants to know next to ask.
        if (!answer.ok()) return task->RefreshInit(version, Status::kUnknown, 0);
        const ProcessState state = FromProto(task->id(), *answer);
        // How it ended is told by Wait.
        if (state.status == Status::kStopped) return;
        task->RefreshInit(version, state.status, state.pid);
      });
}

void Expect(TaskEnv& env, const std::shared_ptr<Task>& task, Status announced) {
  if (task == nullptr) return;
  task->WhenLoaded([] { return true; },
                   [&env, task, announced] {
                     const Status known = task->Init().status;
                     if (known != announced && known != Status::kStopped) AskState(env, task);
                   });
}

News OnStart(TaskEnv& env, const std::string& ns, const std::string& bytes) {
  pb::TaskStart event;
  const auto task = TaskOf(env, ns, bytes, event);
  if (task == nullptr) return true;
  const ProcessState init = task->Init();
  // Another pid than the one that is known is an earlier process's. A restored process has none
  // until it is started.
  const bool ours = event.pid() != 0 && event.pid() == init.pid;
  if (ours && init.status == Status::kCreated) {
    task->SetStarted({}, event.pid());
  } else if (ours || init.pid == 0) {
    Expect(env, task, Status::kRunning);
  }
  return true;
}

News OnExecStarted(TaskEnv& env, const std::string& ns, const std::string& bytes) {
  pb::TaskExecStarted event;
  const auto task = TaskOf(env, ns, bytes, event);
  const auto process = task == nullptr ? std::nullopt : task->Find(event.exec_id());
  // As above; nor is it news that a process started which has ended.
  if (process && process->pid == 0 && process->status != Status::kStopped) {
    task->SetStarted(event.exec_id(), event.pid());
  }
  return true;
}

News OnPaused(TaskEnv& env, const std::string& ns, const std::string& bytes) {
  pb::TaskPaused event;
  Expect(env, TaskOf(env, ns, bytes, event), Status::kPaused);
  return true;
}

News OnResumed(TaskEnv& env, const std::string& ns, const std::string& bytes) {
  pb::TaskResumed event;
  Expect(env, TaskOf(env, ns, bytes, event), Status::kRunning);
  return true;
}

const std::map<std::string_view, Handler>& Handlers() {
  static const std::map<std::string_view, Handler> handlers = {
      {"/tasks/exit", OnExit},
      {"/tasks/start", OnStart},
      {"/tasks/paused", OnPaused},
      {"/tasks/exec-started", OnExecStarted},
      {"/tasks/resumed", OnResumed}};
  return handlers;
}

}  // namespace

events::Exchange::Admission AdmitEvent(TaskEnv& env, const events::Envelope& envelope) {
  const auto handler = Handlers().find(envelope.topic());
  if (handler == Handlers().end()) return true;
  return handler->second(env, envelope.namespace_(), envelope.event().value());
}

}  // namespace gantry::runtime
