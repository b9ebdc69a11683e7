// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plugin/plugin.h"

namespace gantry::runtime {

// "io.containerd.sandbox.controller.v1.shim": sandboxes that shims keep. Takes up those that run
// when it starts.
plugin::Registration ShimControllerPlugin();

}  // namespace gantry::runtime
