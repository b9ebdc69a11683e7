// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plugin/plugin.h"

namespace gantry::native {

// io.containerd.snapshotter.v1.native: root_path, durable_commit.
plugin::Registration NativePlugin();

}  // namespace gantry::native
