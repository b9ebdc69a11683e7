// SPDX-License-Identifier: Apache-2.0
// What all clients of proxy plugins share: the connection, and what a call carries.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <stop_token>
#include <string>

#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/status.h"

namespace gantry::proxies {

// A connection to `address`, the path of a unix socket or an address that gRPC understands. It is
// made with the first call and made anew when it breaks, after 3 seconds at the latest; meanwhile
// calls fail with Unavailable. Channels to one address share it. Messages may have 16 MiB.
std::shared_ptr<grpc::Channel> Connect(const std::string& address);

// False while connecting fails; then a call would fail at once. Starts connecting if idle.
bool MayBeReachable(grpc::Channel& channel);

// A status that came from a gRPC peer, message unchanged: code and class text stay the peer's.
absl::Status FromGrpc(const grpc::Status& status);

// What makes a call part of its caller's: its namespace (never its lease, which is the database's
// business), its deadline or the budget's end, whichever is sooner, and its cancellation, or that
// of the client's owner.
//
// Ownership: `call` outlives it. Make it before the call starts.
class CallScope {
 public:
  CallScope(grpc::ClientContext& call, const Context& ctx, absl::Duration budget,
            const std::stop_token& closing);

 private:
  struct Cancel {
    grpc::ClientContext* call;
    void operator()() const { call->TryCancel(); }
  };
  std::stop_callback<Cancel> by_caller_;
  std::stop_callback<Cancel> by_owner_;
};

}  // namespace gantry::proxies
