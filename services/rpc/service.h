// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/impl/codegen/service_type.h>

#include "core/plugin/plugin.h"

namespace gantry::rpc {

// What a gRPC plugin hands to the daemon's server. The grpc::Service that it returns lives as long
// as this object.
class Service {
 public:
  virtual ~Service() = default;
  virtual grpc::Service& grpc() = 0;
};

inline constexpr plugin::Kind<Service> kService{"io.containerd.grpc.v1"};

}  // namespace gantry::rpc
