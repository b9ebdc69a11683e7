// SPDX-License-Identifier: Apache-2.0
#include "services/server/unknown_methods.h"

#include <google/protobuf/descriptor.h>

#include "core/base/status.h"
#include "services/rpc/call.h"

namespace gantry::server {
namespace {

// Ends the call at once.
class Refusal final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(std::string_view method) {
    Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, DescribeUnserved(method)));
  }

 private:
  void OnDone() override { delete this; }
};

}  // namespace

std::string DescribeUnserved(std::string_view method) {
  const size_t slash = method.rfind('/');
  if (!method.starts_with('/') || slash == 0) {
    return fmt::format("malformed method name: {:?}", method);
  }
  const std::string service(method.substr(1, slash - 1));
  const std::string_view name = method.substr(slash + 1);
  const auto* known =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(service);
  // A service whose method we know, but that is not served, is one whose plugin did not start.
  if (known == nullptr || known->FindMethodByName(std::string(name)) != nullptr) {
    return fmt::format("unknown service {}", service);
  }
  return fmt::format("unknown method {} for service {}", name, service);
}

grpc::ServerGenericBidiReactor* UnknownMethods::CreateReactor(
    grpc::GenericCallbackServerContext* call) {
  return new Refusal(call->method());
}

}  // namespace gantry::server
