// SPDX-License-Identifier: Apache-2.0
#include "shim/sandbox/sandbox_service.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "shim/cgroup/location.h"
#include "shim/messages/codec.h"
#include "shim/messages/identifier.h"
#include "shim/sandbox/holder.h"
#include "shim/sandbox/namespaces.h"
#include "shim/task/process.h"

namespace gantry::shim {
namespace {

using std::chrono::seconds;
using std::chrono::system_clock;
using wire::RpcCode;

constexpr Clock::duration kStartPatience = seconds(10);
constexpr Clock::duration kKillPatience = seconds(5);

constexpr char kReady[] = "SANDBOX_READY";
constexpr char kNotReady[] = "SANDBOX_NOTREADY";

#if defined(__x86_64__)
constexpr char kArchitecture[] = "amd64";
constexpr char kVariant[] = "";
#elif defined(__aarch64__)
constexpr char kArchitecture[] = "arm64";
constexpr char kVariant[] = "v8";
#else
#error "which platform is this?"
#endif

}  // namespace

// Created, then started, then ended; it ends too without having been started.
struct SandboxService::Sandbox {
  explicit Sandbox(Loop& loop) : changes(loop), ended(loop) {}

  std::string id;
  std::string bundle;
  SandboxNamespaces namespaces;
  system_clock::time_point created_at;
  std::shared_ptr<Holder> holder;               // since it was started
  std::optional<system_clock::time_point> at;   // when it ended without having been started
  std::unique_ptr<TaskService::Closed> closed;  // since it was stopped
  Turnstile changes;
  Event ended;

  bool has_ended() const { return at.has_value() || (holder && holder->exit().has_value()); }
  bool ready() const { return holder != nullptr && !has_ended(); }
  uint32_t exit_status() const {
    return holder && holder->exit() ? static_cast<uint32_t>(holder->exit()->status.AsShellCode())
                                    : 0;
  }
  std::optional<messages::Timestamp> exited_at() const {
    if (holder && holder->exit()) return ToTimestamp(holder->exit()->at);
    if (at) return ToTimestamp(*at);
    return std::nullopt;
  }

  static Co<void> Follow(Shared self) {
    co_await self->holder->ended().Wait();
    self->ended.Set();
  }
};

SandboxService::SandboxService(TaskContext& context, TaskService& tasks)
    : context_(context), tasks_(tasks) {
  Register("CreateSandbox", &SandboxService::CreateSandbox);
  Register("StartSandbox", &SandboxService::StartSandbox);
  Register("Platform", &SandboxService::Platform);
  Register("StopSandbox", &SandboxService::StopSandbox);
  Register("WaitSandbox", &SandboxService::WaitSandbox);
  Register("SandboxStatus", &SandboxService::SandboxStatus);
  Register("PingSandbox", &SandboxService::PingSandbox);
  Register("ShutdownSandbox", &SandboxService::ShutdownSandbox);
  Register("SandboxMetrics", &SandboxService::SandboxMetrics);
}

SandboxService::~SandboxService() = default;

template <typename Request, typename Response>
void SandboxService::Register(const char* name,
                              Answered<Response> (SandboxService::*method)(Request, Time)) {
  methods_.emplace(name, [this, method](Call call) {
    return Serve<Request, Response>(this, method, std::move(call));
  });
}

template <typename Request, typename Response>
Co<Answer> SandboxService::Serve(SandboxService* service,
                                 Answered<Response> (SandboxService::*method)(Request, Time),
                                 Call call) {
  auto request = messages::Decode<Request>(call.payload);
  if (!request) co_return wire::MakeStatus(RpcCode::kInternal, "the request does not decode");
  Reply<Response> reply = co_await (service->*method)(*std::move(request), call.deadline);
  if (!reply.ok()) co_return std::move(reply.status);
  co_return messages::Encode(reply.value);
}

SandboxService::Shared SandboxService::Find(const std::string& id) const {
  return sandbox_ && sandbox_->id == id ? sandbox_ : nullptr;
}

wire::RpcStatus SandboxService::NotFound(const std::string& id) {
  return wire::MakeStatus(RpcCode::kNotFound, "sandbox " + id);
}

SandboxService::Answered<messages::Empty> SandboxService::CreateSandbox(
    messages::CreateSandboxRequest request, Time /*deadline*/) {
  if (!IsIdentifier(request.sandbox_id)) {
    co_return wire::MakeStatus(RpcCode::kInvalidArgument,
                               "sandbox id \"" + request.sandbox_id + "\"");
  }
  if (sandbox_) {
    co_return wire::MakeStatus(
        sandbox_->id == request.sandbox_id ? RpcCode::kAlreadyExists : RpcCode::kFailedPrecondition,
        "this shim has sandbox " + sandbox_->id);
  }
  if (!request.rootfs.empty()) {
    co_return wire::MakeStatus(RpcCode::kUnimplemented,
                               "root file system of sandbox " + request.sandbox_id);
  }
  auto namespaces = NamespacesOf(request);
  if (!namespaces) co_return wire::MakeStatus(RpcCode::kInvalidArgument, namespaces.error().Text());
  const auto sandbox = std::make_shared<Sandbox>(context_.loop);
  sandbox->id = std::move(request.sandbox_id);
  sandbox->bundle = std::move(request.bundle_path);
  sandbox->namespaces = *std::move(namespaces);
  sandbox->created_at = system_clock::now();
  sandbox_ = sandbox;
  co_return messages::Empty{};
}

SandboxService::Answered<messages::StartSandboxResponse> SandboxService::StartSandbox(
    messages::StartSandboxRequest request, Time deadline) {
  const Shared sandbox = Find(request.sandbox_id);
  if (!sandbox) co_return NotFound(request.sandbox_id);
  const auto turn = co_await sandbox->changes.Enter();
  if (sandbox->holder || sandbox->has_ended()) {
    co_return wire::MakeStatus(
        RpcCode::kFailedPrecondition,
        "sandbox " + sandbox->id + (sandbox->has_ended() ? " has ended" : " runs already"));
  }
  const Time limit = std::min(deadline, Clock::now() + kStartPatience);
  auto holder = co_await Holder::Start(context_.loop, context_.children, sandbox->namespaces,
                                       sandbox->id, limit);
  if (!holder) co_return Unknown("start sandbox " + sandbox->id + ": " + holder.error().Text());
  sandbox->holder = *std::move(holder);
  shim::Start(Sandbox::Follow(sandbox));
  messages::StartSandboxResponse response;
  response.pid = static_cast<uint32_t>(sandbox->holder->pid());
  response.created_at = ToTimestamp(sandbox->created_at);
  co_return response;
}

SandboxService::Answered<messages::PlatformResponse> SandboxService::Platform(
    messages::PlatformRequest request, Time /*deadline*/) {
  if (!Find(request.sandbox_id)) co_return NotFound(request.sandbox_id);
  messages::PlatformResponse response;
  response.platform.emplace();
  response.platform->os = "linux";
  response.platform->architecture = kArchitecture;
  response.platform->variant = kVariant;
  co_return response;
}

SandboxService::Answered<messages::Empty> SandboxService::StopSandbox(
    messages::StopSandboxRequest request, Time /*deadline*/) {
  const Shared sandbox = Find(request.sandbox_id);
  if (!sandbox) co_return NotFound(request.sandbox_id);
  wire::RpcStatus stopped = co_await Stop(sandbox, seconds(request.timeout_secs));
  if (!stopped.ok()) co_return stopped;
  co_return messages::Empty{};
}

// Its containers first: they may depend on what it keeps.
Co<wire::RpcStatus> SandboxService::Stop(Shared sandbox, Clock::duration grace) {
  auto closed = tasks_.Close();
  const bool stopped = co_await tasks_.StopAll(grace);
  if (!stopped) {
    co_return wire::MakeStatus(RpcCode::kDeadlineExceeded,
                               "containers of sandbox " + sandbox->id + " do not end");
  }
  const auto turn = co_await sandbox->changes.Enter();
  if (sandbox->holder == nullptr) {
    if (!sandbox->at) sandbox->at = system_clock::now();
    sandbox->closed = std::move(closed);
    sandbox->ended.Set();
    co_return wire::RpcStatus{};
  }
  sandbox->holder->Kill();
  const bool ended = co_await sandbox->holder->ended().Wait(Clock::now() + kKillPatience);
  if (!ended) {
    co_return wire::MakeStatus(RpcCode::kDeadlineExceeded,
                               "sandbox " + sandbox->id + " does not end");
  }
  sandbox->closed = std::move(closed);
  co_return wire::RpcStatus{};
}

SandboxService::Answered<messages::WaitSandboxResponse> SandboxService::WaitSandbox(
    messages::WaitSandboxRequest request, Time deadline) {
  const Shared sandbox = Find(request.sandbox_id);
  if (!sandbox) co_return NotFound(request.sandbox_id);
  const bool ended = co_await sandbox->ended.Wait(deadline);
  if (!ended)
    co_return wire::MakeStatus(RpcCode::kDeadlineExceeded, "wait for sandbox " + sandbox->id);
  messages::WaitSandboxResponse response;
  response.exit_status = sandbox->exit_status();
  response.exited_at = sandbox->exited_at();
  co_return response;
}

SandboxService::Answered<messages::SandboxStatusResponse> SandboxService::SandboxStatus(
    messages::SandboxStatusRequest request, Time /*deadline*/) {
  const Shared sandbox = Find(request.sandbox_id);
  if (!sandbox) co_return NotFound(request.sandbox_id);
  messages::SandboxStatusResponse response;
  response.sandbox_id = sandbox->id;
  if (sandbox->holder) response.pid = static_cast<uint32_t>(sandbox->holder->pid());
  response.state = sandbox->ready() ? kReady : kNotReady;
  response.created_at = ToTimestamp(sandbox->created_at);
  response.exited_at = sandbox->exited_at();
  if (request.verbose) {
    response.info.emplace("bundle", sandbox->bundle);
    response.info.emplace("containers", std::to_string(tasks_.containers()));
    response.info.emplace("netns", sandbox->namespaces.netns_path);
  }
  co_return response;
}

SandboxService::Answered<messages::Empty> SandboxService::PingSandbox(messages::PingRequest request,
                                                                      Time /*deadline*/) {
  if (!Find(request.sandbox_id)) co_return NotFound(request.sandbox_id);
  co_return messages::Empty{};
}

// Also how a shim ends whose sandbox could not be made.
SandboxService::Answered<messages::Empty> SandboxService::ShutdownSandbox(
    messages::ShutdownSandboxRequest request, Time deadline) {
  const Shared sandbox = Find(request.sandbox_id);
  if (!sandbox && (sandbox_ || tasks_.containers() > 0)) co_return NotFound(request.sandbox_id);
  if (sandbox) {
    wire::RpcStatus stopped = co_await Stop(sandbox, Clock::duration::zero());
    if (!stopped.ok()) co_return stopped;
  }
  wire::RpcStatus ended = co_await tasks_.End(deadline);
  if (!ended.ok()) co_return ended;
  sandbox_.reset();
  co_return messages::Empty{};
}

SandboxService::Answered<messages::SandboxMetricsResponse> SandboxService::SandboxMetrics(
    messages::SandboxMetricsRequest request, Time /*deadline*/) {
  const Shared sandbox = Find(request.sandbox_id);
  if (!sandbox) co_return NotFound(request.sandbox_id);
  if (!sandbox->ready()) {
    co_return wire::MakeStatus(RpcCode::kFailedPrecondition,
                               "sandbox " + sandbox->id + " does not run");
  }
  const auto cgroup = cgroup::Location::Of(sandbox->holder->pid());
  if (!cgroup)
    co_return Unknown("metrics of sandbox " + sandbox->id + ": " + cgroup.error().Text());
  messages::SandboxMetricsResponse response;
  response.metrics.emplace();
  response.metrics->id = sandbox->id;
  response.metrics->timestamp = ToTimestamp(system_clock::now());
  response.metrics->data = cgroup->Metrics();
  co_return response;
}

}  // namespace gantry::shim
