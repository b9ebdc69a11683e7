// SPDX-License-Identifier: Apache-2.0
// What the daemon's HTTP servers show.
#pragma once

#include "core/metrics/registry.h"
#include "services/server/http_server.h"
#include "services/server/plugins.h"

namespace gantry::server {

HttpHandler MetricsPages(const metrics::Registry& registry);
HttpHandler DebugPages(DebugSources sources);

}  // namespace gantry::server
