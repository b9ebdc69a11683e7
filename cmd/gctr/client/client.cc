// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/client/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/status.h"

namespace gantry::gctr {
namespace {

constexpr int kMaxMessageBytes = 16 << 20;  // as the daemon's

std::string SocketPath(const std::string& address) {
  std::string path = address;
  if (path.starts_with("unix:")) path.erase(0, 5);
  if (path.starts_with("//")) path.erase(0, 2);
  return path;
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return arguments;
}

}  // namespace

absl::Status FromGrpc(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const ClientOptions& options) {
  const std::string path = SocketPath(options.address);
  if (::access(path.c_str(), F_OK) != 0) {
    return FromErrno(errno, "cannot access socket " + path);
  }
  const absl::Time now = absl::Now();
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel("unix:" + path, grpc::InsecureChannelCredentials(), Arguments());
  const absl::Time connect_by = now + std::min(options.connect_timeout, options.timeout);
  if (!channel->WaitForConnected(absl::ToChronoTime(connect_by))) {
    return Unavailable("cannot connect to {}: nobody answers", path);
  }
  return std::unique_ptr<Client>(new Client(std::move(channel), options.ns, now + options.timeout));
}

void Client::Prepare(grpc::ClientContext& call) const {
  call.AddMetadata("containerd-namespace", ns_);
  if (!lease_.empty()) call.AddMetadata("containerd-lease", lease_);
  if (deadline_ != absl::InfiniteFuture()) call.set_deadline(absl::ToChronoTime(deadline_));
}

}  // namespace gantry::gctr
