// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server.h>

#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "absl/time/time.h"
#include "core/base/status.h"
#include "services/rpc/service.h"

namespace gantry {

struct GrpcServerOptions {
  std::string address;  // path of a unix socket
  uid_t uid = 0;
  gid_t gid = 0;
  int max_recv_message_bytes = 16 << 20;
  int max_send_message_bytes = 16 << 20;
};

// The gRPC server on a unix socket. `services` outlive it.
class GrpcServer {
 public:
  // Binds and serves; a stale socket file is replaced. InvalidArgument for a path that is too long.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options,
                                                           std::span<rpc::Service* const> services);
  ~GrpcServer();

  // Refuses new calls, waits for those under way until `deadline`, then cancels them. Idempotent.
  void Stop(absl::Time deadline);

 private:
  GrpcServer(std::unique_ptr<grpc::Server> server, std::filesystem::path socket)
      : server_(std::move(server)), socket_(std::move(socket)) {}

  std::unique_ptr<grpc::Server> server_;
  const std::filesystem::path socket_;
};

}  // namespace gantry
