// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mount/manager/handler.h"
#include "core/mount/manager/mount_manager.h"
#include "core/plugin/plugin.h"

namespace gantry::mount {

// A handler serves the mount type that is its plugin's id.
inline constexpr plugin::Kind<MountHandler> kMountHandler{"io.containerd.mount-handler.v1"};
inline constexpr plugin::Kind<MountManager> kMountManager{"io.containerd.mount-manager.v1"};

// The ErofsHandler as plugin erofs.
plugin::Registration ErofsHandlerPlugin();

// The MountManager as plugin bolt: clients know it by that name. It has recovered from the end of
// an earlier daemon when it is there. Type "loop" it handles itself.
plugin::Registration ManagerPlugin();

}  // namespace gantry::mount
