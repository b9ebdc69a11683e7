// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plugin/plugin.h"

namespace gantry::streaming {

// The registry of streams as plugin manager.
plugin::Registration RegistryPlugin();

}  // namespace gantry::streaming
