// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/shim_connection.h"

#include <utility>

#include "absl/strings/match.h"

namespace gantry::runtime {

absl::StatusOr<std::shared_ptr<ShimConnection>> ShimConnection::Connect(ttrpc::Loop& loop,
                                                                        const Endpoint& endpoint,
                                                                        OnLost on_lost) {
  if (endpoint.protocol != "ttrpc") {
    return Unimplemented("shim at {} speaks {}: only ttrpc is supported", endpoint.address,
                         endpoint.protocol);
  }
  std::shared_ptr<ShimConnection> connection(new ShimConnection(endpoint, std::move(on_lost)));
  ASSIGN_OR_RETURN(connection->client_,
                   ttrpc::Client::Connect(loop, endpoint.address, OptionsFor(connection)));
  return connection;
}

absl::StatusOr<std::shared_ptr<ShimConnection>> ShimConnection::Adopt(ttrpc::Loop& loop,
                                                                      const Endpoint& endpoint,
                                                                      kernel::UniqueFd socket,
                                                                      OnLost on_lost) {
  std::shared_ptr<ShimConnection> connection(new ShimConnection(endpoint, std::move(on_lost)));
  ASSIGN_OR_RETURN(connection->client_,
                   ttrpc::Client::Adopt(loop, std::move(socket), OptionsFor(connection)));
  return connection;
}

ttrpc::ClientOptions ShimConnection::OptionsFor(const std::shared_ptr<ShimConnection>& connection) {
  ttrpc::ClientOptions options{.max_in_flight = kMaxCalls + kMaxWaits};
  options.on_disconnect = [weak = std::weak_ptr(connection)] {
    if (const auto self = weak.lock()) self->OnDisconnect();
  };
  return options;
}

void ShimConnection::OnDisconnect() {
  if (!closing_.exchange(true)) on_lost_(*this);
}

void ShimConnection::Close() {
  closing_ = true;
  client_->Close();
}

void ShimConnection::Invoke(ShimCall call, Done<std::string> done) {
  std::atomic<size_t>& under_way = call.waits ? waits_ : calls_;
  if (under_way.fetch_add(1) >= (call.waits ? kMaxWaits : kMaxCalls)) {
    under_way.fetch_sub(1);
    return done(
        ResourceExhausted("too many calls to the shim at {} are under way", endpoint_.address));
  }
  ttrpc::CallOptions options{.service = std::string(call.service),
                             .method = std::string(call.method),
                             .metadata = {{ttrpc::kNamespaceKey, std::string(call.ns)}},
                             .deadline = call.deadline};
  client_->Call(std::move(options), std::move(call.payload),
                [self = shared_from_this(), &under_way,
                 done = std::move(done)](absl::StatusOr<std::string> payload) mutable {
                  under_way.fetch_sub(1);
                  done(std::move(payload));
                });
}

bool LacksService(const absl::Status& status) {
  return absl::IsUnimplemented(status) ||
         (absl::IsInvalidArgument(status) && absl::StrContains(status.message(), "does not exist"));
}

}  // namespace gantry::runtime
