// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/config/config.h"
#include "core/plugin/plugin.h"

namespace gantry::proxies {

// io.containerd.content.v1.<name> for a [proxy_plugins.<name>] of that type. Starts whether or not
// the other process is there.
plugin::Registration ContentPlugin(std::string name, config::ProxyPlugin proxy);

}  // namespace gantry::proxies
