// SPDX-License-Identifier: Apache-2.0
// Symlinks followed by hand inside a root, where openat2(2) gives up: more than 40 of them, and
// components that do not exist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/kernel/unique_fd.h"

namespace gantry::archive {

struct ResolvedPath {
  std::vector<std::string> components;  // below the root, without symlinks and ".."
  size_t existing = 0;                  // leading ones that exist as directories
  // 0, or why `components` cannot be made: ENOTDIR when something else stands in the way, ELOOP
  // after 255 links.
  int error = 0;

  bool complete() const { return error == 0 && existing == components.size(); }
};

// Resolves `path` as in a chroot at the directory `root`: absolute targets start at the root, ".."
// ends there. Missing components are taken as they stand. With `whiteouts_are_missing`, overlay's
// whiteouts count as missing.
absl::StatusOr<ResolvedPath> ResolvePath(int root, std::string_view path,
                                         bool whiteouts_are_missing);

// The directory of the first `size` components, none of which may be a symlink by now.
absl::StatusOr<kernel::UniqueFd> OpenResolved(int root, const std::vector<std::string>& components,
                                              size_t size);

// The first `size` components with slashes between.
std::string JoinComponents(const std::vector<std::string>& components, size_t size);

}  // namespace gantry::archive
