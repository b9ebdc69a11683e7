// SPDX-License-Identifier: Apache-2.0
#include "core/archive/lower_dirs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/archive/overlay_marks.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::archive {

absl::StatusOr<LowerDirs> LowerDirs::Open(const std::vector<std::string>& paths,
                                          std::string opaque_xattr) {
  std::vector<kernel::UniqueFd> roots;
  for (const std::string& path : paths) {
    auto root = kernel::Open(path, O_PATH | O_DIRECTORY);
    if (!root) return Internal("lower directory: {}", root.error().Text());
    roots.push_back(std::move(*root));
  }
  return LowerDirs(std::move(roots), std::move(opaque_xattr));
}

absl::StatusOr<std::optional<LowerDirs::Found>> LowerDirs::Find(std::string_view path) const {
  Found found;
  for (const kernel::UniqueFd& root : roots_) {
    ASSIGN_OR_RETURN(const Step step, FindIn(root.get(), path, found));
    if (step == Step::kFound) return found;
    if (step == Step::kHidden) break;
  }
  return std::nullopt;
}

// Component by component, since each may be a whiteout, or a directory that hides the layers below.
absl::StatusOr<LowerDirs::Step> LowerDirs::FindIn(int root, std::string_view path,
                                                  Found& found) const {
  kernel::UniqueFd at;
  bool hides = false;
  for (;;) {
    const std::string name(path.substr(0, path.find('/')));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    kernel::UniqueFd next(
        ::openat(at ? at.get() : root, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!next && errno == ENOENT) return hides ? Step::kHidden : Step::kMissing;
    if (!next || ::fstat(next.get(), &found.info) != 0) {
      return ApplyError(errno, "look up in lower directory", name);
    }
    at = std::move(next);
    if (IsOverlayWhiteout(found.info) || (!path.empty() && !S_ISDIR(found.info.st_mode)))
      return Step::kHidden;
    if (path.empty()) break;
    hides = hides || IsOpaque(at.get(), opaque_xattr_);
  }
  found.fd = std::move(at);
  return Step::kFound;
}

absl::StatusOr<Attributes> AttributesOf(const LowerDirs::Found& found, std::string_view name) {
  Attributes attributes = {.uid = found.info.st_uid,
                           .gid = found.info.st_gid,
                           .mode = found.info.st_mode & 07777,
                           .times = {found.info.st_atim, found.info.st_mtim}};
  ASSIGN_OR_RETURN(attributes.xattrs, ReadXattrs(found.fd.get(), name));
  return attributes;
}

}  // namespace gantry::archive
