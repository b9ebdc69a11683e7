// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "core/config/section.h"
#include "core/events/exchange.h"
#include "core/ttrpc/loop.h"
#include "core/ttrpc/server.h"
#include "services/server/server.h"
#include "services/server/socket.h"

namespace gantry::server {

// An address that is not given lies beside gRPC's; an owner that is not given is gRPC's.
absl::StatusOr<SocketOptions> DecodeTtrpc(config::Section& section, const SocketOptions& grpc);

// The ttrpc socket, where shims forward their events. `exchange` outlives it.
class TtrpcServer final : public Server {
 public:
  TtrpcServer(SocketOptions options, events::Exchange& exchange)
      : options_(std::move(options)), exchange_(exchange) {}

  absl::Status Start() override;
  void Stop(absl::Time) override;

 private:
  const SocketOptions options_;
  events::Exchange& exchange_;
  std::unique_ptr<ttrpc::Loop> loop_;
  std::unique_ptr<ttrpc::Server> server_;
};

}  // namespace gantry::server
