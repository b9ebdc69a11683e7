// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plugin/plugin.h"

namespace gantry::version {

// containerd.services.version.v1.Version. Answers without a namespace.
plugin::Registration ServicePlugin();

}  // namespace gantry::version
