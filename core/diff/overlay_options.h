// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/mount/mount.h"

namespace gantry::diff {

// The directories of an overlay mount, and what matters of its options to whoever reads or writes
// them without the mount.
struct OverlayOptions {
  std::string upper;                    // empty: read-only
  std::vector<std::string> lower = {};  // nearest first
  bool user_xattr = false;
  bool id_mapped = false;
  bool index_off = false;
};

// Nothing when `mount` is no overlay, or one whose layers are named in a way not known here.
std::optional<OverlayOptions> ParseOverlay(const mount::Mount& mount);

// Splits "a:b", where "\:" and "\\" stand for the characters themselves.
std::vector<std::string> SplitLowerDirs(std::string_view text);

// Whether `mount` binds a directory that it neither shifts nor makes read-only.
bool IsPlainBind(const mount::Mount& mount);

// The directories that a mount shows without changing them, nearest first: the lower ones of an
// overlay without upper directory, or a bind's source. Nothing for other mounts.
std::optional<std::vector<std::string>> ShownDirectories(const mount::Mount& mount);

}  // namespace gantry::diff
