// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/worker_pool.h"
#include "core/plugin/plugin.h"
#include "core/runtime/restart/monitor.h"

namespace gantry::runtime::restart {

inline constexpr plugin::Kind<Monitor> kContainerMonitor{"io.containerd.monitor.container.v1"};

// "io.containerd.monitor.container.v1.restart". Does nothing until it is started. `workers`
// outlives it.
plugin::Registration MonitorPlugin(base::WorkerPool& workers);

}  // namespace gantry::runtime::restart
