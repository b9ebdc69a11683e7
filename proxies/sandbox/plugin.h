// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/config/config.h"
#include "core/plugin/plugin.h"

namespace gantry::proxies {

// A sandbox controller that another process provides, as plugin `name`.
plugin::Registration SandboxPlugin(std::string name, config::ProxyPlugin proxy);

}  // namespace gantry::proxies
