// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_events.h"

#include <map>
#include <string_view>

#include "core/log/log.h"
#include "core/runtime/convert.h"
#include "proto/events/task.pb.h"
#include "proto/types/event.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::events;

// Notes in the bundle that the exit is out, so that a new daemon does not announce it again.
void NoteExit(TaskEnv& env, const std::shared_ptr<Task>& task, const RecordedExit& exit) {
  env.shims.steps().Run([&env, task, exit] {
    // Meanwhile the id may belong to another task, whose exit this is not.
    if (env.tasks.Find(task->ns(), task->id()) != task) return;
    const absl::Status noted = Bundle(env.roots, task->ns(), task->id()).RecordExit(exit);
    if (!noted.ok() && !absl::IsNotFound(noted)) {
      log::Warn("cannot note an exit",
                {{"ns", task->ns()}, {"container", task->id()}, {"error", noted}});
    }
  });
}

// Each handler answers whether the event is news.
using Handler = bool (*)(TaskEnv&, const std::string& ns, const std::string& event);

template <typename Event>
std::shared_ptr<Task> TaskOf(TaskEnv& env, const std::string& ns, const std::string& bytes,
                             Event& event) {
  if (!event.ParseFromString(bytes)) return nullptr;
  return env.tasks.Find(ns, event.container_id());
}

bool OnExit(TaskEnv& env, const std::string& ns, const std::string& bytes) {
  pb::TaskExit event;
  const std::shared_ptr<Task> task = TaskOf(env, ns, bytes, event);
  if (task == nullptr) return true;
  const bool init = event.id() == event.container_id();
  const std::string exec_id = init ? std::string() : event.id();
  // An exec that is deleted already is nobody's concern here; its announcement may still be new.
  const std::optional<ProcessState> process = task->Find(exec_id);
  if (!process) return true;
  // Late news of an earlier process that had the same id says nothing of this one.
  if (event.pid() != 0 && process->pid != 0 && event.pid() != process->pid) return true;
  const Exit exit{.pid = event.pid(),
                  .status = event.exit_status(),
                  .exited_at = TimeFromProto(event.exited_at())};
  task->SetExit(exec_id, exit);
  if (!task->ClaimExit(exec_id)) return false;
  if (init) NoteExit(env, task, {.status = exit.status, .exited_at = exit.exited_at});
  return true;
}

bool OnStart(TaskEnv& env, const std::string& ns, const std::string& bytes) {
  pb::TaskStart event;
  if (const auto task = TaskOf(env, ns, bytes, event)) task->SetStarted({}, event.pid());
  return true;
}

bool OnExecStarted(TaskEnv& env, const std::string& ns, const std::string& bytes) {
  pb::TaskExecStarted event;
  const auto task = TaskOf(env, ns, bytes, event);
  if (task != nullptr && task->Find(event.exec_id()))
    task->SetStarted(event.exec_id(), event.pid());
  return true;
}

bool OnPaused(TaskEnv& env, const std::string& ns, const std::string& bytes) {
  pb::TaskPaused event;
  if (const auto task = TaskOf(env, ns, bytes, event)) task->SetInitStatus(Status::kPaused);
  return true;
}

bool OnResumed(TaskEnv& env, const std::string& ns, const std::string& bytes) {
  pb::TaskResumed event;
  if (const auto task = TaskOf(env, ns, bytes, event)) task->SetInitStatus(Status::kRunning);
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

bool AdmitEvent(TaskEnv& env, const events::Envelope& envelope) {
  const auto handler = Handlers().find(envelope.topic());
  if (handler == Handlers().end()) return true;
  return handler->second(env, envelope.namespace_(), envelope.event().value());
}

}  // namespace gantry::runtime
