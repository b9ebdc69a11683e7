// SPDX-License-Identifier: Apache-2.0
// Whole directory trees: removal and measurement, in bounded stack and a bounded number of fds
// however deep a tree is.
//
// Symlinks are never followed and mount points never entered, so what lies behind either is safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/kernel/result.h"

namespace gantry::kernel {

// Asked before each entry: true ends the work with ECANCELED. None is never asked.
using GiveUp = std::function<bool()>;

// rm -r. A path that does not exist is success, as are entries that vanish meanwhile. EBUSY when a
// mount point lies in the tree: removal stops there, nothing behind it is touched.
Result<void> RemoveTree(const std::string& path, const GiveUp& give_up = nullptr);

struct Usage {
  uint64_t bytes = 0;   // 512-byte blocks allocated, not lengths
  uint64_t inodes = 0;  // each counted once however many links it has, the root included
};

// du -x. Entries that vanish meanwhile are not counted.
Result<Usage> DiskUsage(const std::string& path, const GiveUp& give_up = nullptr);

}  // namespace gantry::kernel
