// SPDX-License-Identifier: Apache-2.0
#include "services/rpc/call.h"

#include <string>
#include <utility>

#include "core/base/identifiers.h"

namespace gantry::rpc {
namespace {

constexpr const char* kNamespaceKey = "containerd-namespace";
constexpr const char* kLeaseKey = "containerd-lease";

std::string FirstValue(const grpc::CallbackServerContext& call, const char* key) {
  const auto found = call.client_metadata().find(key);  // Equal keys keep their order of arrival.
  if (found == call.client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

}  // namespace

absl::StatusOr<Context> MakeContext(const grpc::CallbackServerContext& call, Namespace needs,
                                    std::stop_token stop) {
  Context ctx{.ns = FirstValue(call, kNamespaceKey),
              .lease = FirstValue(call, kLeaseKey),
              .stop = std::move(stop)};
  if (const auto deadline = call.deadline();
      deadline != std::chrono::system_clock::time_point::max()) {
    ctx.deadline = absl::FromChrono(deadline);
  }
  if (needs == Namespace::kRequired) {
    if (ctx.ns.empty()) return FailedPrecondition("namespace is required");
    RETURN_IF_ERROR(Annotate(ValidateIdentifier(ctx.ns), "namespace validation"));
  }
  return ctx;
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()), WireMessage(status)};
}

absl::Status FromGrpc(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

}  // namespace gantry::rpc
