// SPDX-License-Identifier: Apache-2.0
#include "proxies/sandbox/remote_controller.h"

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "core/base/mutex.h"
#include "core/metadata/record.h"
#include "core/sandbox/sandbox_message.h"
#include "proxies/rpc/channel.h"

namespace gantry::proxies {
namespace {

namespace pb = ::containerd::services::sandbox::v1;

constexpr absl::Duration kFirstPause = absl::Milliseconds(128);
constexpr absl::Duration kLongestPause = absl::Milliseconds(4096);

// Of a call whose answer says no more than that.
struct Nothing {};

sandbox::Controller::Done<Nothing> StatusOnly(sandbox::Controller::Finished done) {
  return [done = std::move(done)](const absl::StatusOr<Nothing>& result) mutable {
    done(result.status());
  };
}

template <typename Response>
Nothing Ignore(const Response&) {
  return {};
}

}  // namespace

// One call under way.
template <typename Request, typename Response>
struct RemoteController::Call {
  Call(base::Gate::Pass entered, const Context& ctx, const std::stop_token& closing, Request wanted)
      : pass(std::move(entered)),
        scope(context, ctx, absl::InfiniteDuration(), closing),
        request(std::move(wanted)) {}

  const base::Gate::Pass pass;
  grpc::ClientContext context;
  const CallScope scope;
  const Request request;
  Response response;
};

// A Wait() that outlives the connection.
class RemoteController::WaitCall : public std::enable_shared_from_this<WaitCall> {
 public:
  WaitCall(RemoteController& controller, Context ctx, std::string id,
           Done<sandbox::SandboxExit> done)
      : controller_(controller), ctx_(std::move(ctx)), id_(std::move(id)), done_(std::move(done)) {}

  void Begin() {
    // They may call at once, on this thread.
    const std::weak_ptr<WaitCall> weak = weak_from_this();
    const auto stop = [weak] {
      if (const auto self = weak.lock()) self->Stop();
    };
    by_caller_.emplace(ctx_.stop, stop);
    by_owner_.emplace(controller_.closing_.get_token(), stop);
    Try();
  }

 private:
  using OnStop = std::stop_callback<std::function<void()>>;

  void Try() {
    controller_.Ask<pb::ControllerWaitResponse>(
        ctx_, controller_.RequestFor<pb::ControllerWaitRequest>(id_),
        [](auto& stub, auto... call) { stub.Wait(std::move(call)...); },
        Done<sandbox::SandboxExit>(
            [self = shared_from_this()](const absl::StatusOr<sandbox::SandboxExit>& exit) {
              self->OnAnswer(exit);
            }),
        [](const pb::ControllerWaitResponse& response) {
          return sandbox::SandboxExit{.status = response.exit_status(),
                                      .exited_at = metadata::FromProto(response.exited_at())};
        });
  }

  void OnAnswer(const absl::StatusOr<sandbox::SandboxExit>& exit) {
    if (!absl::IsUnavailable(exit.status())) return done_(exit);
    if (Pause()) return;
    const absl::Status wanted = ctx_.Check();
    done_(wanted.ok() ? exit : wanted);
  }

  // False when nobody waits any more.
  bool Pause() {
    std::optional<base::Gate::Pass> pass = controller_.gate_.Enter();
    if (!pass) return false;
    base::MutexLock lock(mutex_);
    if (stopped_) return false;
    const absl::Time until = absl::Now() + pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
    // The alarm keeps its callback after it has called it, which must then hold nothing.
    pausing_ = shared_from_this();
    pass_.emplace(*std::move(pass));
    alarm_.Set(absl::ToChronoTime(until), [this](bool) { Resume(); });
    return true;
  }

  void Resume() {
    std::shared_ptr<WaitCall> self;
    std::optional<base::Gate::Pass> pass;
    {
      base::MutexLock lock(mutex_);
      self = std::move(pausing_);
      pass.emplace(*std::move(pass_));
      pass_.reset();
    }
    Try();
  }

  void Stop() {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    alarm_.Cancel();
  }

  RemoteController& controller_;
  const Context ctx_;
  const std::string id_;
  Done<sandbox::SandboxExit> done_;
  base::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration pause_ ABSL_GUARDED_BY(mutex_) = kFirstPause;
  std::shared_ptr<WaitCall> pausing_ ABSL_GUARDED_BY(mutex_);
  std::optional<base::Gate::Pass> pass_ ABSL_GUARDED_BY(mutex_);
  grpc::Alarm alarm_;
  std::optional<OnStop> by_caller_;
  std::optional<OnStop> by_owner_;
};

RemoteController::RemoteController(std::string name, const std::string& address)
    : name_(std::move(name)),
      channel_(Connect(address)),
      stub_(pb::Controller::NewStub(channel_)) {}

RemoteController::~RemoteController() {
  closing_.request_stop();
  gate_.Close();
}

template <typename Request>
Request RemoteController::RequestFor(const std::string& id) const {
  Request request;
  request.set_sandbox_id(id);
  request.set_sandboxer(name_);
  return request;
}

template <typename Response, typename T, typename Request, typename Invoke, typename Convert>
void RemoteController::Ask(const Context& ctx, Request request, Invoke invoke, Done<T> done,
                           Convert convert) {
  std::optional<base::Gate::Pass> pass = gate_.Enter();
  if (!pass) return done(Cancelled("sandbox controller {} is closing", name_));
  if (const absl::Status wanted = ctx.Check(); !wanted.ok()) return done(wanted);
  const auto call = std::make_shared<Call<Request, Response>>(
      *std::move(pass), ctx, closing_.get_token(), std::move(request));
  const auto answer = std::make_shared<Done<T>>(std::move(done));
  invoke(*stub_->async(), &call->context, &call->request, &call->response,
         [call, answer, convert](const grpc::Status& status) {
           if (!status.ok()) return (*answer)(FromGrpc(status));
           (*answer)(convert(call->response));
         });
}

void RemoteController::Create(const Context& ctx, sandbox::Sandbox sandbox,
                              sandbox::CreateOptions options, Finished done) {
  auto request = RequestFor<pb::ControllerCreateRequest>(sandbox.id);
  sandbox::ToProto(sandbox, request.mutable_sandbox());
  request.set_netns_path(options.netns_path);
  if (options.options) *request.mutable_options() = *std::move(options.options);
  request.mutable_annotations()->insert(options.annotations.begin(), options.annotations.end());
  for (const mount::Mount& mount : options.rootfs) {
    auto* out = request.add_rootfs();
    out->set_type(mount.type);
    out->set_source(mount.source);
    out->set_target(mount.target);
    out->mutable_options()->Assign(mount.options.begin(), mount.options.end());
  }
  using Response = pb::ControllerCreateResponse;
  Ask<Response>(
      ctx, std::move(request), [](auto& stub, auto... call) { stub.Create(std::move(call)...); },
      StatusOnly(std::move(done)), Ignore<Response>);
}

void RemoteController::Start(const Context& ctx, const std::string& id,
                             Done<sandbox::Started> done) {
  Ask<pb::ControllerStartResponse>(
      ctx, RequestFor<pb::ControllerStartRequest>(id),
      [](auto& stub, auto... call) { stub.Start(std::move(call)...); }, std::move(done),
      [](const pb::ControllerStartResponse& response) {
        sandbox::Started started{.pid = response.pid(),
                                 .created_at = metadata::FromProto(response.created_at()),
                                 .labels = {response.labels().begin(), response.labels().end()},
                                 .address = response.address(),
                                 .version = response.version()};
        if (response.has_spec()) started.spec = response.spec();
        return started;
      });
}

void RemoteController::GetPlatform(const Context& ctx, const std::string& id,
                                   Done<sandbox::Platform> done) {
  auto host_if_unserved = [done = std::move(done)](absl::StatusOr<sandbox::Platform> got) mutable {
    if (absl::IsUnimplemented(got.status())) got = sandbox::HostSandboxPlatform();
    done(std::move(got));
  };
  Ask<pb::ControllerPlatformResponse>(
      ctx, RequestFor<pb::ControllerPlatformRequest>(id),
      [](auto& stub, auto... call) { stub.Platform(std::move(call)...); },
      Done<sandbox::Platform>(std::move(host_if_unserved)),
      [](const pb::ControllerPlatformResponse& response) {
        return sandbox::Platform{.os = response.platform().os(),
                                 .architecture = response.platform().architecture(),
                                 .variant = response.platform().variant()};
      });
}

void RemoteController::Stop(const Context& ctx, const std::string& id, absl::Duration grace,
                            Finished done) {
  auto request = RequestFor<pb::ControllerStopRequest>(id);
  request.set_timeout_secs(static_cast<uint32_t>(absl::ToInt64Seconds(grace)));
  using Response = pb::ControllerStopResponse;
  Ask<Response>(
      ctx, std::move(request), [](auto& stub, auto... call) { stub.Stop(std::move(call)...); },
      StatusOnly(std::move(done)), Ignore<Response>);
}

void RemoteController::Wait(const Context& ctx, const std::string& id,
                            Done<sandbox::SandboxExit> done) {
  std::make_shared<WaitCall>(*this, ctx, id, std::move(done))->Begin();
}

void RemoteController::GetStatus(const Context& ctx, const std::string& id, bool verbose,
                                 Done<sandbox::SandboxStatus> done) {
  auto request = RequestFor<pb::ControllerStatusRequest>(id);
  request.set_verbose(verbose);
  Ask<pb::ControllerStatusResponse>(
      ctx, std::move(request), [](auto& stub, auto... call) { stub.Status(std::move(call)...); },
      std::move(done),
      [](const pb::ControllerStatusResponse& response) {
        sandbox::SandboxStatus status{.pid = response.pid(),
                                      .state = response.state(),
                                      .info = {response.info().begin(), response.info().end()},
                                      .created_at = metadata::FromProto(response.created_at()),
                                      .exited_at = metadata::FromProto(response.exited_at()),
                                      .address = response.address(),
                                      .version = response.version()};
        if (response.has_extra()) status.extra = response.extra();
        return status;
      });
}

void RemoteController::Shutdown(const Context& ctx, const std::string& id, Finished done) {
  using Response = pb::ControllerShutdownResponse;
  Ask<Response>(
      ctx, RequestFor<pb::ControllerShutdownRequest>(id),
      [](auto& stub, auto... call) { stub.Shutdown(std::move(call)...); },
      StatusOnly(std::move(done)), Ignore<Response>);
}

void RemoteController::GetMetrics(const Context& ctx, const std::string& id,
                                  Done<sandbox::SandboxMetrics> done) {
  Ask<pb::ControllerMetricsResponse>(
      ctx, RequestFor<pb::ControllerMetricsRequest>(id),
      [](auto& stub, auto... call) { stub.Metrics(std::move(call)...); }, std::move(done),
      [](const pb::ControllerMetricsResponse& response) {
        return sandbox::SandboxMetrics{.at = metadata::FromProto(response.metrics().timestamp()),
                                       .data = response.metrics().data()};
      });
}

void RemoteController::Update(const Context& ctx, const sandbox::Sandbox& sandbox,
                              const metadata::FieldMask& fields, Finished done) {
  auto request = RequestFor<pb::ControllerUpdateRequest>(sandbox.id);
  sandbox::ToProto(sandbox, request.mutable_sandbox());
  for (const std::string& field : fields) request.add_fields(field);
  using Response = pb::ControllerUpdateResponse;
  Ask<Response>(
      ctx, std::move(request), [](auto& stub, auto... call) { stub.Update(std::move(call)...); },
      StatusOnly(std::move(done)), Ignore<Response>);
}

}  // namespace gantry::proxies
