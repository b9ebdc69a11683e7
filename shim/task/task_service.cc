// SPDX-License-Identifier: Apache-2.0
#include "shim/task/task_service.h"

#include <malloc.h>
#include <unistd.h>

#include <utility>

#include "shim/messages/codec.h"
#include "shim/messages/identifier.h"
#include "shim/options/resolve_options.h"

namespace gantry::shim {

TaskService::TaskService(TaskContext& context, std::function<Co<void>()> shut_down,
                         std::function<bool()> in_use)
    : context_(context), shut_down_(std::move(shut_down)), in_use_(std::move(in_use)) {
  Register("Create", &TaskService::Create);
  Register("Start", &TaskService::Start);
  Register("Delete", &TaskService::Delete);
  Register("Exec", &TaskService::Exec);
  Register("Kill", &TaskService::Kill);
  Register("Pause", &TaskService::Pause);
  Register("Resume", &TaskService::Resume);
  Register("Update", &TaskService::Update);
  Register("Checkpoint", &TaskService::Checkpoint);
  Register("ResizePty", &TaskService::ResizePty);
  Register("CloseIO", &TaskService::CloseIO);
  Register("State", &TaskService::State);
  methods_.emplace("Wait", [this](Call call) { return Wait(this, std::move(call)); });
  Register("Pids", &TaskService::Pids);
  Register("Stats", &TaskService::Stats);
  Register("Connect", &TaskService::Connect);
  Register("Shutdown", &TaskService::Shutdown);
}

template <typename Request, typename Response>
void TaskService::Register(const char* name,
                           Answered<Response> (TaskService::*method)(Request, Time)) {
  methods_.emplace(name, [this, method](Call call) {
    return Serve<Request, Response>(this, method, std::move(call));
  });
}

template <typename Request, typename Response>
Co<Answer> TaskService::Serve(TaskService* service,
                              Answered<Response> (TaskService::*method)(Request, Time), Call call) {
  auto request = messages::Decode<Request>(call.payload);
  if (!request) co_return wire::MakeStatus(wire::RpcCode::kInternal, "the request does not decode");
  Reply<Response> reply = co_await (service->*method)(*std::move(request), call.deadline);
  if (!reply.ok()) co_return std::move(reply.status);
  co_return messages::Encode(reply.value);
}

std::shared_ptr<Container> TaskService::Find(const std::string& id) const {
  const auto found = containers_.find(id);
  return found == containers_.end() ? nullptr : found->second;
}

Co<std::shared_ptr<Container>> TaskService::FindMade(const std::string& id) const {
  for (auto found = creating_.find(id); found != creating_.end(); found = creating_.find(id)) {
    const std::shared_ptr<Event> ended = found->second;
    co_await ended->Wait();
  }
  co_return Find(id);
}

std::vector<std::string> TaskService::ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, container] : containers_) ids.push_back(id);
  return ids;
}

wire::RpcStatus TaskService::NotCreated() {
  return wire::MakeStatus(wire::RpcCode::kNotFound, "container not created");
}

void TaskService::OutOfMemory(const std::string& id) {
  if (const auto container = Find(id)) container->OutOfMemory();
}

TaskService::Answered<messages::CreateTaskResponse> TaskService::Create(
    messages::CreateTaskRequest request, Time deadline) {
  last_create_ = Clock::now();
  if (!IsIdentifier(request.id)) {
    co_return wire::MakeStatus(wire::RpcCode::kInvalidArgument,
                               "container id \"" + request.id + "\"");
  }
  if (!request.bundle.starts_with('/')) {
    co_return wire::MakeStatus(wire::RpcCode::kInvalidArgument,
                               "bundle \"" + request.bundle + "\" of " + request.id);
  }
  if (stopping_)
    co_return wire::MakeStatus(wire::RpcCode::kFailedPrecondition, "the shim is shutting down");
  if (closed_ > 0)
    co_return wire::MakeStatus(wire::RpcCode::kFailedPrecondition, "the sandbox is stopped");
  if (containers_.contains(request.id) || creating_.contains(request.id)) {
    co_return wire::MakeStatus(wire::RpcCode::kAlreadyExists, "container " + request.id);
  }
  auto options = ResolveOptions(request.options);
  if (!options) co_return wire::MakeStatus(wire::RpcCode::kInvalidArgument, options.error().Text());
  if (!options->warning.empty())
    context_.log("options of container " + request.id + ": " + options->warning);
  const std::string id = request.id;
  const auto ended = std::make_shared<Event>(context_.loop);
  creating_.emplace(id, ended);
  const auto container =
      std::make_shared<Container>(context_, std::move(request), std::move(options->options));
  auto reply = co_await container->Create(deadline);
  creating_.erase(id);
  if (reply.ok()) containers_.emplace(id, container);
  ended->Set();
  co_return reply;
}

TaskService::Answered<messages::StartResponse> TaskService::Start(messages::StartRequest request,
                                                                  Time deadline) {
  const auto container = co_await FindMade(request.id);
  if (!container) co_return NotCreated();
  co_return co_await container->Start(std::move(request.exec_id), deadline);
}

TaskService::Answered<messages::DeleteResponse> TaskService::Delete(messages::DeleteRequest request,
                                                                    Time deadline) {
  const auto container = co_await FindMade(request.id);
  if (!container) co_return NotCreated();
  auto reply = co_await container->Delete(std::move(request.exec_id), deadline);
  // There may be another of that name by now.
  if (const auto found = containers_.find(request.id);
      container->deleted() && found != containers_.end() && found->second == container) {
    containers_.erase(found);
    ::malloc_trim(0);
  }
  co_return reply;
}

TaskService::Answered<messages::Empty> TaskService::Exec(messages::ExecProcessRequest request,
                                                         Time /*deadline*/) {
  const auto container = co_await FindMade(request.id);
  if (!container) co_return NotCreated();
  if (!IsIdentifier(request.exec_id)) {
    co_return wire::MakeStatus(wire::RpcCode::kInvalidArgument,
                               "exec id \"" + request.exec_id + "\"");
  }
  co_return container->AddExec(std::move(request));
}

TaskService::Answered<messages::Empty> TaskService::Kill(messages::KillRequest request,
                                                         Time deadline) {
  const auto container = co_await FindMade(request.id);
  if (!container) co_return NotCreated();
  co_return co_await container->Kill(std::move(request.exec_id), static_cast<int>(request.signal),
                                     request.all, deadline);
}

TaskService::Answered<messages::Empty> TaskService::Pause(messages::PauseRequest request,
                                                          Time deadline) {
  const auto container = co_await FindMade(request.id);
  if (!container) co_return NotCreated();
  co_return co_await container->Pause(deadline);
}

TaskService::Answered<messages::Empty> TaskService::Resume(messages::ResumeRequest request,
                                                           Time deadline) {
  const auto container = co_await FindMade(request.id);
  if (!container) co_return NotCreated();
  co_return co_await container->Resume(deadline);
}

TaskService::Answered<messages::Empty> TaskService::Update(messages::UpdateTaskRequest request,
                                                           Time deadline) {
  const auto container = co_await FindMade(request.id);
  if (!container) co_return NotCreated();
  if (!request.resources) {
    co_return wire::MakeStatus(wire::RpcCode::kInvalidArgument,
                               "update of " + request.id + " without resources");
  }
  co_return co_await container->Update(std::move(request.resources->value), deadline);
}

TaskService::Answered<messages::Empty> TaskService::Checkpoint(
    messages::CheckpointTaskRequest request, Time deadline) {
  const auto container = co_await FindMade(request.id);
  if (!container) co_return NotCreated();
  auto options = ResolveCheckpointOptions(request.options);
  if (!options) co_return wire::MakeStatus(wire::RpcCode::kInvalidArgument, options.error().Text());
  co_return co_await container->Checkpoint(std::move(request.path), *std::move(options), deadline);
}

TaskService::Answered<messages::Empty> TaskService::ResizePty(messages::ResizePtyRequest request,
                                                              Time /*deadline*/) {
  const auto container = co_await FindMade(request.id);
  if (!container) co_return NotCreated();
  co_return container->Resize(request.exec_id, request.width, request.height);
}

TaskService::Answered<messages::Empty> TaskService::CloseIO(messages::CloseIORequest request,
                                                            Time /*deadline*/) {
  const auto container = co_await FindMade(request.id);
  if (!container) co_return NotCreated();
  if (!request.stdin) co_return messages::Empty{};
  co_return container->CloseStdin(request.exec_id);
}

// What asks, rather than changes, waits for nothing: of a container that is being made there is
// nothing to tell yet.

TaskService::Answered<messages::StateResponse> TaskService::State(messages::StateRequest request,
                                                                  Time /*deadline*/) {
  const auto container = Find(request.id);
  if (!container) co_return NotCreated();
  co_return container->State(request.exec_id);
}

// The one call that may last for ever, hence not longer than its caller stays.
Co<Answer> TaskService::Wait(TaskService* service, Call call) {
  auto request = messages::Decode<messages::WaitRequest>(call.payload);
  if (!request) co_return wire::MakeStatus(wire::RpcCode::kInternal, "the request does not decode");
  const auto container = service->Find(request->id);
  if (!container) co_return NotCreated();
  const auto reply =
      co_await container->Wait(std::move(request->exec_id), call.deadline, call.caller);
  if (!reply.ok()) co_return reply.status;
  co_return messages::Encode(reply.value);
}

TaskService::Answered<messages::PidsResponse> TaskService::Pids(messages::PidsRequest request,
                                                                Time /*deadline*/) {
  const auto container = Find(request.id);
  if (!container) co_return NotCreated();
  co_return container->Pids();
}

TaskService::Answered<messages::StatsResponse> TaskService::Stats(messages::StatsRequest request,
                                                                  Time /*deadline*/) {
  const auto container = Find(request.id);
  if (!container) co_return NotCreated();
  co_return container->Stats();
}

// Also how a daemon finds out whether the shim is alive.
TaskService::Answered<messages::ConnectResponse> TaskService::Connect(
    messages::ConnectRequest request, Time /*deadline*/) {
  messages::ConnectResponse response{.shim_pid = static_cast<uint32_t>(::getpid())};
  if (const auto container = Find(request.id))
    response.task_pid = static_cast<uint32_t>(container->pid());
  co_return response;
}

TaskService::Answered<messages::Empty> TaskService::Shutdown(messages::ShutdownRequest /*request*/,
                                                             Time /*deadline*/) {
  if (containers() == 0 && !stopping_ && !in_use_()) {
    stopping_ = true;
    co_await shut_down_();
  }
  co_return messages::Empty{};
}

}  // namespace gantry::shim
