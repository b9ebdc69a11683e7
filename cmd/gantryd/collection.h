// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/metrics/registry.h"
#include "core/plugin/plugin.h"

namespace gantry {

// The collector over every kind of object of this binary, and its scheduler, as plugin scheduler.
// `metrics` outlives the plugin.
plugin::Registration CollectionPlugin(metrics::Registry& metrics);

}  // namespace gantry
