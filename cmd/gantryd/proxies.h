// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/config/config.h"
#include "core/plugin/plugin.h"

namespace gantry {

// A plugin for each [proxy_plugins.<name>]. An unknown type is warned about and left out.
std::vector<plugin::Registration> ProxyPlugins(const config::Config& config);

}  // namespace gantry
