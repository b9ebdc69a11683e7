// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/messages/task_requests.h"
#include "shim/messages/task_responses.h"
#include "shim/server/call.h"
#include "shim/task/container.h"
#include "shim/task/reply.h"
#include "shim/task/task_context.h"

namespace gantry::shim {

// The service containerd.task.v2.Task, which v3 repeats: the containers of one shim.
class TaskService {
 public:
  // `shut_down` is awaited once, when Shutdown is called and no container is left; its caller is
  // answered after it.
  TaskService(TaskContext& context, std::function<Co<void>()> shut_down);
  TaskService(const TaskService&) = delete;

  const Methods& methods() const { return methods_; }

  // Containers that exist or are being made.
  size_t containers() const { return containers_.size() + creating_.size(); }

  // The kernel killed something in a container.
  void OutOfMemory(const std::string& id);

 private:
  template <typename T>
  using Answered = Co<Reply<T>>;

  Answered<messages::CreateTaskResponse> Create(messages::CreateTaskRequest request, Time deadline);
  Answered<messages::StartResponse> Start(messages::StartRequest request, Time deadline);
  Answered<messages::DeleteResponse> Delete(messages::DeleteRequest request, Time deadline);
  Answered<messages::Empty> Exec(messages::ExecProcessRequest request, Time deadline);
  Answered<messages::Empty> Kill(messages::KillRequest request, Time deadline);
  Answered<messages::Empty> Pause(messages::PauseRequest request, Time deadline);
  Answered<messages::Empty> Resume(messages::ResumeRequest request, Time deadline);
  Answered<messages::Empty> Update(messages::UpdateTaskRequest request, Time deadline);
  Answered<messages::Empty> Checkpoint(messages::CheckpointTaskRequest request, Time deadline);
  Answered<messages::Empty> ResizePty(messages::ResizePtyRequest request, Time deadline);
  Answered<messages::Empty> CloseIO(messages::CloseIORequest request, Time deadline);
  Answered<messages::StateResponse> State(messages::StateRequest request, Time deadline);
  Answered<messages::WaitResponse> Wait(messages::WaitRequest request, Time deadline);
  Answered<messages::PidsResponse> Pids(messages::PidsRequest request, Time deadline);
  Answered<messages::StatsResponse> Stats(messages::StatsRequest request, Time deadline);
  Answered<messages::ConnectResponse> Connect(messages::ConnectRequest request, Time deadline);
  Answered<messages::Empty> Shutdown(messages::ShutdownRequest request, Time deadline);

  template <typename Request, typename Response>
  void Register(const char* name, Answered<Response> (TaskService::*method)(Request, Time));
  template <typename Request, typename Response>
  static Co<Answer> Serve(TaskService* service,
                          Answered<Response> (TaskService::*method)(Request, Time), Call call);

  std::shared_ptr<Container> Find(const std::string& id) const;
  // Find, once a create of it that is under way has ended: it goes on without its caller, and one
  // who is to undo it must not be told that there is nothing.
  Co<std::shared_ptr<Container>> FindMade(const std::string& id) const;
  static wire::RpcStatus NotCreated();

  TaskContext& context_;
  const std::function<Co<void>()> shut_down_;
  Methods methods_;
  std::map<std::string, std::shared_ptr<Container>> containers_;
  std::map<std::string, std::shared_ptr<Event>> creating_;  // set at the end
  bool stopping_ = false;
};

}  // namespace gantry::shim
