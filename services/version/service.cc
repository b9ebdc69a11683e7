// SPDX-License-Identifier: Apache-2.0
#include "services/version/service.h"

#include <memory>

#include "core/base/version.h"
#include "proto/services/version/v1/version.grpc.pb.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"

namespace gantry::version {
namespace {

namespace pb = ::containerd::services::version::v1;

class VersionService final : public rpc::Service, public pb::Version::CallbackService {
 public:
  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Version(grpc::CallbackServerContext*, const google::protobuf::Empty*,
                                    pb::VersionResponse* response) override {
    response->set_version(kApiVersion);
    response->set_revision(kRevision);
    return rpc::EndNow(absl::OkStatus());
  }
};

}  // namespace

plugin::Registration ServicePlugin() {
  return plugin::Provide(
      rpc::kService,
      plugin::Spec<rpc::Service>{
          .id = "version",
          .init = [](plugin::InitContext&) -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
            return std::make_unique<VersionService>();
          }});
}

}  // namespace gantry::version
