// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/kernel/mount.h"
#include "core/kernel/result.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"
#include "shim/process/children.h"

namespace gantry::shim {

struct RootfsMount {
  kernel::MountSpec spec;
  std::string target;  // inside the root file system; empty: its top
};

// Makes the mounts on `bundle`/rootfs, in order, in a helper process. What a failure leaves half
// made is undone.
Co<kernel::Result<void>> MountRootfs(Loop& loop, Children& children, std::string bundle,
                                     std::vector<RootfsMount> mounts, Time deadline);

// Undoes every mount at and below `bundle`/rootfs, deepest first. One that is busy for too long is
// an error. `plain`: what was made there is one mount, at its top.
Co<kernel::Result<void>> UnmountRootfs(Loop& loop, Children& children, std::string bundle,
                                       bool plain, Time deadline);

}  // namespace gantry::shim
