// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::kernel {

// "fuse.X" and "fuse3.X".
bool IsFuseType(std::string_view type);

// Runs mount.fuse or mount.fuse3, which starts the file system's own program.
Result<void> MountFuse(const std::string& type, const std::string& source,
                       const std::string& target, const std::vector<std::string>& options);

// Asks fusermount3 or fusermount, which may unmount for a user who mounted.
Result<void> UnmountFuse(const std::string& target);

}  // namespace gantry::kernel
