// SPDX-License-Identifier: Apache-2.0
#include "shim/fast/fast_service.h"

#include <string>
#include <utility>
#include <vector>

#include "shim/io/log_followers.h"
#include "shim/messages/codec.h"

namespace gantry::shim {

namespace {

// Each has a connection of its own: there must be room for the daemon's, above all for that of one
// which has just been restarted.
constexpr size_t kMaxReaders = 32;

// One more, for as long as it lives.
class Counted {
 public:
  explicit Counted(size_t& count) : count_(count) { ++count_; }
  Counted(const Counted&) = delete;
  ~Counted() { --count_; }

 private:
  size_t& count_;
};

}  // namespace

FastService::FastService(TaskContext& context, TaskService& tasks)
    : context_(context), tasks_(tasks) {
  Register("ExecSync", &FastService::ExecSync);
  Register("CancelExec", &FastService::CancelExec);
  Register("CreateStart", &FastService::CreateStart);
  Register("StatsBatch", &FastService::StatsBatch);
  Register("ReopenLog", &FastService::ReopenLog);
  streams_.emplace("Attach", [this](Call call, MessageStream& stream) {
    return Attach(this, std::move(call), stream);
  });
}

template <typename Request, typename Response>
void FastService::Register(const char* name,
                           Answered<Response> (FastService::*method)(Request, Circumstances)) {
  methods_.emplace(name, [this, method](Call call) {
    return Serve<Request, Response>(this, method, std::move(call));
  });
}

template <typename Request, typename Response>
Co<Answer> FastService::Serve(FastService* service,
                              Answered<Response> (FastService::*method)(Request, Circumstances),
                              Call call) {
  auto request = messages::Decode<Request>(call.payload);
  if (!request) co_return wire::MakeStatus(wire::RpcCode::kInternal, "the request does not decode");
  Circumstances circumstances{.deadline = call.deadline, .caller = std::move(call.caller)};
  Reply<Response> reply =
      co_await (service->*method)(*std::move(request), std::move(circumstances));
  if (!reply.ok()) co_return std::move(reply.status);
  co_return messages::Encode(reply.value);
}

FastService::Answered<messages::ExecSyncResponse> FastService::ExecSync(
    messages::ExecSyncRequest request, Circumstances call) {
  const auto container = co_await tasks_.FindMade(request.id);
  if (!container) co_return TaskService::NotCreated();
  co_return co_await container->ExecSync(std::move(request), call.deadline, std::move(call.caller));
}

FastService::Answered<messages::Empty> FastService::CancelExec(messages::CancelExecRequest request,
                                                               Circumstances /*call*/) {
  const auto container = tasks_.Find(request.id);
  if (!container) co_return TaskService::NotCreated();
  co_return container->CancelExec(request.token);
}

FastService::Answered<messages::StartResponse> FastService::CreateStart(
    messages::CreateTaskRequest request, Circumstances call) {
  const std::string id = request.id;
  auto created = co_await tasks_.Create(std::move(request), call.deadline);
  if (!created.ok()) co_return std::move(created.status);
  messages::StartRequest start{.id = id};
  auto started = co_await tasks_.Start(std::move(start), call.deadline);
  if (started.ok()) co_return started;
  messages::DeleteRequest undo{.id = id};
  const auto deleted = co_await tasks_.Delete(std::move(undo), kNever);
  if (!deleted.ok()) context_.log("container " + id + ": undo create: " + deleted.status.message);
  co_return started;
}

FastService::Answered<messages::Empty> FastService::ReopenLog(messages::ReopenLogRequest request,
                                                              Circumstances /*call*/) {
  const auto container = co_await tasks_.FindMade(request.id);
  if (!container) co_return TaskService::NotCreated();
  co_return container->ReopenLog(request.exec_id);
}

Co<wire::RpcStatus> FastService::Attach(FastService* service, Call call, MessageStream& stream) {
  const auto request = messages::Decode<messages::AttachRequest>(call.payload);
  if (!request) co_return wire::MakeStatus(wire::RpcCode::kInternal, "the request does not decode");
  if (!request->stdout && !request->stderr) {
    co_return wire::MakeStatus(wire::RpcCode::kInvalidArgument, "attach to no output");
  }
  if (service->readers_ >= kMaxReaders) {
    co_return wire::MakeStatus(wire::RpcCode::kResourceExhausted,
                               "attach to " + request->id + ": too many readers");
  }
  const Counted counted(service->readers_);
  const auto container = co_await service->tasks_.FindMade(request->id);
  if (!container) co_return TaskService::NotCreated();
  const auto log = container->Followers(request->exec_id);
  if (!log.ok()) co_return log.status;
  LogFollower follower(service->context_.loop, log.value, request->stdout, request->stderr);
  const CallerWatch watch(call.caller, [&follower] { follower.Wake(); });
  bool taken = stream.Send(messages::Encode(messages::AttachResponse{}));
  while (taken && !call.caller->gone()) {
    auto piece = follower.Take();
    if (piece) {
      messages::AttachResponse message;
      (piece->stream == OutputStream::kStdout ? message.stdout : message.stderr) =
          std::move(piece->data);
      taken = stream.Send(messages::Encode(message));
      co_await stream.Written();
    } else if (follower.too_slow()) {
      co_return wire::MakeStatus(wire::RpcCode::kResourceExhausted,
                                 "reader of the output of " + request->id + " is too slow");
    } else if (follower.over()) {
      break;
    } else {
      co_await follower.Ready();
    }
  }
  co_return wire::RpcStatus{};
}

FastService::Answered<messages::StatsBatchResponse> FastService::StatsBatch(
    messages::StatsBatchRequest request, Circumstances /*call*/) {
  const std::vector<std::string> ids = request.ids.empty() ? tasks_.ids() : std::move(request.ids);
  messages::StatsBatchResponse response;
  for (const std::string& id : ids) {
    const auto container = tasks_.Find(id);
    if (!container || !container->HasStats()) continue;
    auto stats = container->Stats();
    if (stats.ok()) response.stats.push_back({.id = id, .stats = std::move(stats.value.stats)});
  }
  co_return response;
}

}  // namespace gantry::shim
