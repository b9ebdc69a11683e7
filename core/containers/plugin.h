// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/containers/container_store.h"
#include "core/plugin/plugin.h"

namespace gantry::containers {

inline constexpr plugin::Kind<ContainerStore> kContainerService{"io.containerd.service.v1"};

// The ContainerStore as plugin containers-service.
plugin::Registration StorePlugin();

}  // namespace gantry::containers
