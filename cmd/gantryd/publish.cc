// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/publish.h"

#include <grpcpp/create_channel.h>
#include <unistd.h>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "proto/services/events/v1/events.grpc.pb.h"
#include "services/rpc/call.h"

namespace gantry {

absl::Status Publish(const PublishFlags& flags) {
  constexpr size_t kMaxEventBytes = size_t{4} << 20;
  constexpr absl::Duration kBudget = absl::Seconds(10);
  namespace pb = ::containerd::services::events::v1;
  const auto input = kernel::ReadAll(STDIN_FILENO, kMaxEventBytes, "standard input");
  if (!input) return ToStatus(input.error());
  pb::PublishRequest request;
  request.set_topic(flags.topic);
  if (!request.mutable_event()->ParseFromString(*input))
    return InvalidArgument("standard input holds no event");
  const auto stub = pb::Events::NewStub(
      grpc::CreateChannel("unix:" + flags.address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext call;
  call.AddMetadata("containerd-namespace", flags.ns);
  call.set_deadline(absl::ToChronoTime(absl::Now() + kBudget));
  google::protobuf::Empty answer;
  return rpc::FromGrpc(stub->Publish(&call, request, &answer));
}

}  // namespace gantry
