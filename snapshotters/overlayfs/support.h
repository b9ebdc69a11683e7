// SPDX-License-Identifier: Apache-2.0
// What this host's overlayfs can do, and what its mounts need for that.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace gantry::overlayfs {

struct Support {
  bool in_user_namespace = false;
  bool needs_userxattr = false;  // overlays at the root want the option "userxattr"
  bool knows_index = false;      // the kernel has the option "index"
  bool remap_ids = false;        // layers may be id-mapped mounts
};

// FailedPrecondition when the file system at `root`, an existing folder, does not tell the type of
// directory entries: overlays do not work there.
absl::Status CheckDirectoryTypes(const std::filesystem::path& root);

absl::StatusOr<Support> DetectSupport(const std::filesystem::path& root);

// `configured` with what this host needs besides, each option once.
std::vector<std::string> MountOptions(std::vector<std::string> configured, const Support& support);

// Whether the text of /proc/self/uid_map is that of a user namespace below the first.
bool IsMapped(std::string_view uid_map);

// Tries what DetectSupport() knows of newer kernels without trying; `root` is where the trial
// directories are made, and removed again.
bool TryUserXattr(const std::filesystem::path& root);
bool TryIdmappedLayers(const std::filesystem::path& root);

}  // namespace gantry::overlayfs
