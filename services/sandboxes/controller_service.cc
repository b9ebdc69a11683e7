// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/events/exchange.h"
#include "core/metadata/metadata.h"
#include "proto/events/sandbox.pb.h"
#include "proto/services/sandbox/v1/sandbox.grpc.pb.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"
#include "services/sandboxes/convert.h"
#include "services/sandboxes/service.h"

namespace gantry::sandbox {
namespace {

namespace pb = ::containerd::services::sandbox::v1;
using rpc::Done;
using rpc::RunAsync;
using Call = grpc::CallbackServerContext*;
using Reactor = grpc::ServerUnaryReactor*;
using Controllers = std::map<std::string, Controller*>;

class ControllerService final : public rpc::Service, public pb::Controller::CallbackService {
 public:
  ControllerService(Controllers controllers, SandboxStore& store, events::Publisher& events,
                    base::WorkerPool& workers)
      : controllers_(std::move(controllers)), store_(store), events_(events), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  Reactor Create(Call call, const pb::ControllerCreateRequest* request,
                 pb::ControllerCreateResponse* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, auto done) {
      const auto controller = Find(request->sandboxer());
      if (!controller.ok()) return done(controller.status());
      Sandbox sandbox;
      if (request->has_sandbox()) sandbox = FromProto(request->sandbox());
      if (sandbox.id.empty()) sandbox.id = request->sandbox_id();
      if (sandbox.id != request->sandbox_id()) return done(DifferentIds(*request, sandbox.id));
      (*controller)
          ->Create(ctx, std::move(sandbox), FromProto(*request),
                   [this, ctx, id = request->sandbox_id(),
                    done = std::move(done)](const absl::Status& status) mutable {
                     if (!status.ok()) return done(status);
                     ::containerd::events::SandboxCreate event;
                     event.set_sandbox_id(id);
                     pb::ControllerCreateResponse created;
                     created.set_sandbox_id(id);
                     done(Published(ctx, "/sandboxes/create", event, std::move(created)));
                   });
    });
  }

  Reactor Start(Call call, const pb::ControllerStartRequest* request,
                pb::ControllerStartResponse* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, auto done) {
      const auto controller = Find(request->sandboxer());
      if (!controller.ok()) return done(controller.status());
      (*controller)
          ->Start(ctx, request->sandbox_id(),
                  [this, ctx, id = request->sandbox_id(),
                   done = std::move(done)](const absl::StatusOr<Started>& started) mutable {
                    if (!started.ok()) return done(started.status());
                    ::containerd::events::SandboxStart event;
                    event.set_sandbox_id(id);
                    done(Published(ctx, "/sandboxes/start", event, ToProto(id, *started)));
                  });
    });
  }

  Reactor Platform(Call call, const pb::ControllerPlatformRequest* request,
                   pb::ControllerPlatformResponse* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, auto done) {
      const auto controller = Find(request->sandboxer());
      if (!controller.ok()) return done(controller.status());
      (*controller)
          ->GetPlatform(
              ctx, request->sandbox_id(),
              [done = std::move(done)](const absl::StatusOr<sandbox::Platform>& platform) mutable {
                if (!platform.ok()) return done(platform.status());
                pb::ControllerPlatformResponse got;
                got.mutable_platform()->set_os(platform->os);
                got.mutable_platform()->set_architecture(platform->architecture);
                got.mutable_platform()->set_variant(platform->variant);
                done(std::move(got));
              });
    });
  }

  Reactor Stop(Call call, const pb::ControllerStopRequest* request,
               pb::ControllerStopResponse* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, auto done) {
      const auto controller = Find(request->sandboxer());
      if (!controller.ok()) return done(controller.status());
      (*controller)
          ->Stop(ctx, request->sandbox_id(), absl::Seconds(request->timeout_secs()),
                 Finished<pb::ControllerStopResponse>(std::move(done)));
    });
  }

  Reactor Wait(Call call, const pb::ControllerWaitRequest* request,
               pb::ControllerWaitResponse* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, auto done) {
      const auto controller = Find(request->sandboxer());
      if (!controller.ok()) return done(controller.status());
      (*controller)
          ->Wait(ctx, request->sandbox_id(),
                 [this, ctx, id = request->sandbox_id(),
                  done = std::move(done)](const absl::StatusOr<SandboxExit>& exit) mutable {
                   if (!exit.ok()) return done(exit.status());
                   ::containerd::events::SandboxExit event;
                   event.set_sandbox_id(id);
                   event.set_exit_status(exit->status);
                   *event.mutable_exited_at() = TimeToProto(exit->exited_at);
                   pb::ControllerWaitResponse waited;
                   waited.set_exit_status(exit->status);
                   *waited.mutable_exited_at() = TimeToProto(exit->exited_at);
                   done(Published(ctx, "/sandboxes/exit", event, std::move(waited)));
                 });
    });
  }

  Reactor Status(Call call, const pb::ControllerStatusRequest* request,
                 pb::ControllerStatusResponse* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, auto done) {
      const auto controller = Find(request->sandboxer());
      if (!controller.ok()) return done(controller.status());
      (*controller)
          ->GetStatus(ctx, request->sandbox_id(), request->verbose(),
                      [id = request->sandbox_id(), done = std::move(done)](
                          const absl::StatusOr<SandboxStatus>& status) mutable {
                        if (!status.ok()) return done(status.status());
                        done(ToProto(id, *status));
                      });
    });
  }

  Reactor Shutdown(Call call, const pb::ControllerShutdownRequest* request,
                   pb::ControllerShutdownResponse* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, auto done) {
      const auto controller = Find(request->sandboxer());
      if (!controller.ok()) return done(controller.status());
      (*controller)
          ->Shutdown(ctx, request->sandbox_id(),
                     Finished<pb::ControllerShutdownResponse>(std::move(done)));
    });
  }

  Reactor Metrics(Call call, const pb::ControllerMetricsRequest* request,
                  pb::ControllerMetricsResponse* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, auto done) {
      const auto controller = Find(request->sandboxer());
      if (!controller.ok()) return done(controller.status());
      (*controller)
          ->GetMetrics(ctx, request->sandbox_id(),
                       [id = request->sandbox_id(),
                        done = std::move(done)](absl::StatusOr<SandboxMetrics> metrics) mutable {
                         if (!metrics.ok()) return done(metrics.status());
                         pb::ControllerMetricsResponse got;
                         *got.mutable_metrics()->mutable_timestamp() = TimeToProto(metrics->at);
                         got.mutable_metrics()->set_id(id);
                         *got.mutable_metrics()->mutable_data() = std::move(metrics->data);
                         done(std::move(got));
                       });
    });
  }

  // Proxies of other daemons forget to name the controller; then the record does.
  Reactor Update(Call call, const pb::ControllerUpdateRequest* request,
                 pb::ControllerUpdateResponse* response) override {
    using Response = pb::ControllerUpdateResponse;
    return RunAsync(call, response, [this, request](const Context& ctx, Done<Response> done) {
      if (!request->has_sandbox()) return done(InvalidArgument("sandbox must be set"));
      rpc::Post<Response>(
          workers_, std::move(done), [this, ctx, request = *request](Done<Response> answer) {
            const auto controller = Find(SandboxerOf(ctx, request));
            if (!controller.ok()) return answer(controller.status());
            Sandbox sandbox = FromProto(request.sandbox());
            if (sandbox.id.empty()) sandbox.id = request.sandbox_id();
            if (sandbox.id != request.sandbox_id()) {
              return answer(DifferentIds(request, sandbox.id));
            }
            (*controller)
                ->Update(ctx, sandbox, {request.fields().begin(), request.fields().end()},
                         Finished<Response>(std::move(answer)));
          });
    });
  }

 private:
  template <typename Request>
  static absl::Status DifferentIds(const Request& request, const std::string& id) {
    return InvalidArgument("sandbox {:?} cannot be called {:?}", id, request.sandbox_id());
  }

  absl::StatusOr<Controller*> Find(const std::string& sandboxer) const {
    if (sandboxer.empty()) return InvalidArgument("sandboxer must be set");
    const auto found = controllers_.find(sandboxer);
    if (found != controllers_.end()) return found->second;
    if (controllers_.empty()) return Unimplemented("sandbox controller {:?}", sandboxer);
    return NotFound("sandbox controller {:?}", sandboxer);
  }

  std::string SandboxerOf(const Context& ctx, const pb::ControllerUpdateRequest& request) const {
    if (!request.sandboxer().empty()) return request.sandboxer();
    const auto record = store_.Get(ctx, request.sandbox_id());
    return record.ok() ? record->sandboxer : std::string();
  }

  template <typename Response>
  static Controller::Finished Finished(Done<Response> done) {
    return [done = std::move(done)](const absl::Status& status) mutable {
      if (!status.ok()) return done(status);
      done(Response());
    };
  }

  template <typename Response>
  absl::StatusOr<Response> Published(const Context& ctx, std::string_view topic,
                                     const google::protobuf::Message& event, Response response) {
    RETURN_IF_ERROR(events_.Publish(ctx, topic, event));
    return response;
  }

  const Controllers controllers_;
  SandboxStore& store_;
  events::Publisher& events_;
  base::WorkerPool& workers_;
};

}  // namespace

plugin::Registration ControllerServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(
      rpc::kService,
      plugin::Spec<rpc::Service>{
          .id = "sandbox-controllers",
          .needs = {kSandboxStore.uri, events::kExchange.uri, kController.uri, kPodController.uri},
          .init = [&workers](
                      plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
            ASSIGN_OR_RETURN(SandboxStore * store, init.Get(kSandboxStore, "local"));
            ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
            Controllers controllers = init.All(kController);
            controllers.merge(init.All(kPodController));
            return std::make_unique<ControllerService>(std::move(controllers), *store, *exchange,
                                                       workers);
          }});
}

}  // namespace gantry::sandbox
