// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/mount/mount.h"

namespace gantry::diff {

// Where a layer is unpacked so that its mounts show it, without mounting anything.
struct Target {
  std::string directory;
  bool overlay = false;  // an overlay's upper directory: deletions become overlay's own marks
  bool user_xattr = false;
  std::vector<std::string> lower_dirs = {};  // nearest first
};

// One overlay with an upper directory, or one writable bind mount. Unimplemented for other mounts;
// InvalidArgument for read-only ones.
absl::StatusOr<Target> TargetOf(const mount::Mounts& mounts);

}  // namespace gantry::diff
