// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plugin/plugin.h"

namespace gantry::overlayfs {

// io.containerd.snapshotter.v1.overlayfs: root_path, upperdir_label, sync_remove, slow_chown,
// mount_options, durable_commit.
plugin::Registration OverlayPlugin();

}  // namespace gantry::overlayfs
