// SPDX-License-Identifier: Apache-2.0
#include "proxies/rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

namespace gantry::proxies {
namespace {

constexpr int kMaxMessageBytes = 16 << 20;
constexpr int kMaxBackoffMs = 3000;
constexpr int kInitialBackoffMs = 100;

}  // namespace

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kInitialBackoffMs);
  // What one attempt may take at most.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kMaxBackoffMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxBackoffMs);
  const std::string uri = address.starts_with("/") ? "unix:" + address : address;
  return grpc::CreateCustomChannel(uri, grpc::InsecureChannelCredentials(), arguments);
}

bool MayBeReachable(grpc::Channel& channel) {
  return channel.GetState(/*try_to_connect=*/true) != GRPC_CHANNEL_TRANSIENT_FAILURE;
}

absl::Status FromGrpc(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

CallScope::CallScope(grpc::ClientContext& call, const Context& ctx, absl::Duration budget,
                     const std::stop_token& closing)
    : by_caller_(ctx.stop, Cancel{&call}), by_owner_(closing, Cancel{&call}) {
  if (!ctx.ns.empty()) call.AddMetadata("containerd-namespace", ctx.ns);
  call.set_deadline(absl::ToChronoTime(ctx.WithBudget(budget).deadline));
}

}  // namespace gantry::proxies
