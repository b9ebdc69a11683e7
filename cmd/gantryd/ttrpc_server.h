// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/events/exchange.h"
#include "core/ttrpc/loop.h"
#include "core/ttrpc/server.h"

namespace gantry {

struct TtrpcServerOptions {
  std::string address;  // path of a unix socket
  uid_t uid = 0;
  gid_t gid = 0;
};

// The ttrpc socket, where shims forward their events.
class TtrpcServer {
 public:
  // `exchange` outlives the server.
  static absl::StatusOr<std::unique_ptr<TtrpcServer>> Start(const TtrpcServerOptions& options,
                                                            events::Exchange& exchange);

 private:
  TtrpcServer(std::unique_ptr<ttrpc::Loop> loop, std::unique_ptr<ttrpc::Server> server)
      : loop_(std::move(loop)), server_(std::move(server)) {}

  std::unique_ptr<ttrpc::Loop> loop_;
  std::unique_ptr<ttrpc::Server> server_;
};

}  // namespace gantry
