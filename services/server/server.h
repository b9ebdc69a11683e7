// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/plugin/plugin.h"

namespace gantry::server {

// A socket of the daemon. As a plugin it starts after everything that it serves, but binds only in
// Start(), once no plugin is left to start.
//
// Threads: one at a time.
class Server {
 public:
  virtual ~Server() = default;
  // Accepts connections once this returns.
  virtual absl::Status Start() = 0;
  // Refuses new calls, waits until `deadline` for those that end by themselves, then cancels the
  // rest. Idempotent; fine without Start().
  virtual void Stop(absl::Time deadline) = 0;
};

inline constexpr plugin::Kind<Server> kServer{"io.containerd.server.v1"};

}  // namespace gantry::server
