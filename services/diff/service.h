// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plugin/plugin.h"

namespace gantry::diff {

// containerd.services.diff.v1.Diff over the configured differs. It has threads of its own: calls
// take as long as a layer is large, and none but its own waits for them.
plugin::Registration ServicePlugin();

}  // namespace gantry::diff
