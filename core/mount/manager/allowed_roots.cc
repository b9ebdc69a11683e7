// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/allowed_roots.h"

#include <fcntl.h>

#include <utility>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::mount {

absl::StatusOr<AllowedRoots> AllowedRoots::Open(const std::vector<std::filesystem::path>& roots) {
  AllowedRoots allowed;
  for (const std::filesystem::path& path : roots) {
    auto fd = kernel::Open(path.string(), O_PATH | O_DIRECTORY);
    if (!fd) return ToStatus(fd.error());
    allowed.roots_.push_back({.path = path.string(), .fd = std::move(*fd)});
  }
  return allowed;
}

absl::StatusOr<AllowedRoots::Place> AllowedRoots::Find(std::string_view path) const {
  for (const Root& root : roots_) {
    if (path.size() <= root.path.size() || !path.starts_with(root.path)) continue;
    std::string_view below = path.substr(root.path.size());
    if (!root.path.ends_with('/') && !below.starts_with('/')) continue;
    while (below.starts_with('/')) below.remove_prefix(1);
    if (!below.empty()) return Place{.root = root.fd.get(), .below = std::string(below)};
  }
  return Unimplemented("{} is below no directory that mounts may change", path);
}

}  // namespace gantry::mount
