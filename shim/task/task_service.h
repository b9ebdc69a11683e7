// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

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
  // `shut_down` is awaited once, when Shutdown is called, no container is left and `in_use` says
  // no; its caller is answered after it.
  TaskService(TaskContext& context, std::function<Co<void>()> shut_down,
              std::function<bool()> in_use);
  TaskService(const TaskService&) = delete;

  const Methods& methods() const { return methods_; }

  // When a create was asked for last; Time::min() if none was.
  Time last_create() const { return last_create_; }

  // Containers that exist or are being made.
  size_t containers() const { return containers_.size() + creating_.size(); }

  // While this lives, no container is created.
  class [[nodiscard]] Closed {
   public:
    explicit Closed(size_t& count) : count_(count) { ++count_; }
    Closed(const Closed&) = delete;
    ~Closed() { --count_; }

   private:
    size_t& count_;
  };
  std::unique_ptr<Closed> Close() { return std::make_unique<Closed>(closed_); }

  // Ends all containers: SIGTERM to those that have `grace` to end, SIGKILL to those that have not.
  // False when one has not ended within some seconds after.
  Co<bool> StopAll(Clock::duration grace);

  // Takes no new container, kills and deletes those that there are, and awaits `shut_down`. With an
  // error, which is that of the first delete that failed, all goes on but what has been deleted.
  Co<wire::RpcStatus> End(Time deadline);

  // The kernel killed something in a container.
  void OutOfMemory(const std::string& id);

  // --- For services beside this one ---

  template <typename T>
  using Answered = Co<Reply<T>>;

  Answered<messages::CreateTaskResponse> Create(messages::CreateTaskRequest request, Time deadline);
  Answered<messages::StartResponse> Start(messages::StartRequest request, Time deadline);
  Answered<messages::DeleteResponse> Delete(messages::DeleteRequest request, Time deadline);
  Answered<messages::Empty> Shutdown(messages::ShutdownRequest request, Time deadline);

  // The container, null if there is none, once a create of it that is under way has ended: that
  // goes on without its caller, and one who is to undo it must not be told that there is nothing.
  Co<std::shared_ptr<Container>> FindMade(const std::string& id) const;
  std::shared_ptr<Container> Find(const std::string& id) const;
  // In order.
  std::vector<std::string> ids() const;

  static wire::RpcStatus NotCreated();

 private:
  Answered<messages::Empty> Exec(messages::ExecProcessRequest request, Time deadline);
  Answered<messages::Empty> Kill(messages::KillRequest request, Time deadline);
  Answered<messages::Empty> Pause(messages::PauseRequest request, Time deadline);
  Answered<messages::Empty> Resume(messages::ResumeRequest request, Time deadline);
  Answered<messages::Empty> Update(messages::UpdateTaskRequest request, Time deadline);
  Answered<messages::Empty> Checkpoint(messages::CheckpointTaskRequest request, Time deadline);
  Answered<messages::Empty> ResizePty(messages::ResizePtyRequest request, Time deadline);
  Answered<messages::Empty> CloseIO(messages::CloseIORequest request, Time deadline);
  Answered<messages::StateResponse> State(messages::StateRequest request, Time deadline);
  Answered<messages::PidsResponse> Pids(messages::PidsRequest request, Time deadline);
  Answered<messages::StatsResponse> Stats(messages::StatsRequest request, Time deadline);
  Answered<messages::ConnectResponse> Connect(messages::ConnectRequest request, Time deadline);

  template <typename Request, typename Response>
  void Register(const char* name, Answered<Response> (TaskService::*method)(Request, Time));
  template <typename Request, typename Response>
  static Co<Answer> Serve(TaskService* service,
                          Answered<Response> (TaskService::*method)(Request, Time), Call call);

  static Co<Answer> Wait(TaskService* service, Call call);

  struct Stopping;
  struct Ending;
  Co<wire::RpcStatus> EndAll(Time deadline);
  static Co<void> StopOne(TaskService* service, std::string id, Clock::duration grace,
                          std::shared_ptr<Stopping> stopping);
  std::vector<std::string> AlsoInMaking() const;  // ids

  TaskContext& context_;
  const std::function<Co<void>()> shut_down_;
  const std::function<bool()> in_use_;
  Methods methods_;
  std::map<std::string, std::shared_ptr<Container>> containers_;
  std::map<std::string, std::shared_ptr<Event>> creating_;  // set at the end
  Time last_create_ = Time::min();
  size_t closed_ = 0;
  bool stopping_ = false;
  std::shared_ptr<Ending> ending_;  // while End() is under way
};

}  // namespace gantry::shim
