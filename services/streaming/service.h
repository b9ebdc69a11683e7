// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plugin/plugin.h"

namespace gantry::streaming {

// containerd.services.streaming.v1.Streaming over the registry of streams.
plugin::Registration ServicePlugin();

}  // namespace gantry::streaming
