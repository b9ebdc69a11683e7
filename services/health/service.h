// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plugin/plugin.h"

namespace gantry::health {

// grpc.health.v1.Health as plugin healthcheck: the daemon as a whole (service "") is SERVING while
// it serves at all; other names are unknown. Answers without a namespace.
plugin::Registration ServicePlugin();

}  // namespace gantry::health
