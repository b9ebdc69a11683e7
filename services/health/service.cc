// SPDX-License-Identifier: Apache-2.0
#include "services/health/service.h"

#include <atomic>
#include <memory>
#include <string_view>

#include "proto/grpc/health/v1/health.grpc.pb.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"

namespace gantry::health {
namespace {

namespace pb = ::grpc::health::v1;

// Tells the state once and stays open until the client or the server ends it: the state does not
// change in between.
class WatchCall final : public grpc::ServerWriteReactor<pb::HealthCheckResponse> {
 public:
  explicit WatchCall(pb::HealthCheckResponse::ServingStatus status) {
    response_.set_status(status);
    StartWrite(&response_);
  }

 private:
  void OnWriteDone(bool ok) override {
    if (!ok) End("client went away");
  }
  void OnCancel() override { End("context canceled"); }
  void OnDone() override { delete this; }

  // Both of the above happen where a client leaves early; gRPC dies of a second Finish.
  void End(std::string_view why) {
    if (!ended_.exchange(true)) Finish(rpc::ToGrpc(Cancelled("{}", why)));
  }

  std::atomic<bool> ended_ = false;
  pb::HealthCheckResponse response_;
};

class HealthService final : public rpc::Service, public pb::Health::CallbackService {
 public:
  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext*,
                                  const pb::HealthCheckRequest* request,
                                  pb::HealthCheckResponse* response) override {
    if (!request->service().empty())
      return rpc::EndNow(NotFound("unknown service {:?}", request->service()));
    response->set_status(pb::HealthCheckResponse::SERVING);
    return rpc::EndNow(absl::OkStatus());
  }

  grpc::ServerWriteReactor<pb::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext*, const pb::HealthCheckRequest* request) override {
    return new WatchCall(request->service().empty() ? pb::HealthCheckResponse::SERVING
                                                    : pb::HealthCheckResponse::SERVICE_UNKNOWN);
  }
};

}  // namespace

plugin::Registration ServicePlugin() {
  return plugin::Provide(
      rpc::kService,
      plugin::Spec<rpc::Service>{
          .id = "healthcheck",
          .init = [](plugin::InitContext&) -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
            return std::make_unique<HealthService>();
          }});
}

}  // namespace gantry::health
