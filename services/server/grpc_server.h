// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <vector>

#include "core/config/section.h"
#include "core/plugin/plugin.h"
#include "services/rpc/service.h"
#include "services/server/call_table.h"
#include "services/server/server.h"
#include "services/server/socket.h"
#include "services/server/unknown_methods.h"

namespace gantry::server {

struct GrpcOptions {
  SocketOptions socket;
  int max_recv_message_bytes = 16 << 20;
  int max_send_message_bytes = 16 << 20;
};

absl::StatusOr<GrpcOptions> DecodeGrpc(config::Section& section);

// The gRPC server on a unix socket. A method that no service has is answered with UNIMPLEMENTED and
// its name. `services` and `calls` (null: the calls are counted for this server alone) outlive it.
class GrpcServer final : public Server {
 public:
  GrpcServer(GrpcOptions options, std::vector<rpc::Service*> services, CallTable* calls)
      : options_(std::move(options)),
        services_(std::move(services)),
        calls_(calls != nullptr ? *calls : own_calls_) {}
  ~GrpcServer() override { Stop(absl::InfinitePast()); }

  absl::Status Start() override;
  // Streams and waits for an exit are not waited for: they end by themselves only by chance.
  void Stop(absl::Time deadline) override;

 private:
  const GrpcOptions options_;
  const std::vector<rpc::Service*> services_;
  CallTable own_calls_{false};
  CallTable& calls_;
  UnknownMethods unknown_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace gantry::server
