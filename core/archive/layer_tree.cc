// SPDX-License-Identifier: Apache-2.0
#include "core/archive/layer_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/archive/names.h"
#include "core/archive/overlay_marks.h"
#include "core/base/status.h"
#include "core/kernel/resolve.h"
#include "core/kernel/tree.h"

namespace gantry::archive {
namespace {

constexpr size_t kMaxOpen = 128;
constexpr mode_t kParentMode = 0755;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

}  // namespace

LayerTree::LayerTree(int root, Options options, LowerDirs lower, AttributeSetter& setter)
    : root_(root), options_(std::move(options)), lower_(std::move(lower)), setter_(setter) {}

absl::StatusOr<DirectoryRef> LayerTree::Remember(std::string_view path, kernel::UniqueFd fd) {
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) return ApplyError(errno, "stat", path);
  if (open_.size() >= kMaxOpen) open_.clear();
  auto directory = std::make_shared<const OpenDirectory>(OpenDirectory{std::move(fd), info.st_ino});
  open_.insert_or_assign(std::string(path), directory);
  return directory;
}

absl::StatusOr<DirectoryRef> LayerTree::FindDirectory(std::string_view path) {
  const std::string name(path.empty() ? "." : path);
  if (const auto known = open_.find(name); known != open_.end()) return known->second;
  auto fd = kernel::OpenInside(root_, name, O_RDONLY | O_DIRECTORY);
  if (fd) return Remember(name, std::move(*fd));
  const int error = fd.error().err;
  // The kernel stops at 40 links, and at components that do not exist.
  if (error != ENOENT && error != ENOTDIR && error != ELOOP) {
    return ApplyError(error, "open directory", path);
  }
  ASSIGN_OR_RETURN(const ResolvedPath resolved, ResolvePath(root_, path, options_.overlay));
  if (!resolved.complete()) return DirectoryRef();
  ASSIGN_OR_RETURN(kernel::UniqueFd found,
                   OpenResolved(root_, resolved.components, resolved.existing));
  return Remember(name, std::move(found));
}

absl::StatusOr<DirectoryRef> LayerTree::MakeDirectory(std::string_view path) {
  ASSIGN_OR_RETURN(DirectoryRef found, FindDirectory(path));
  if (found != nullptr) return found;
  ASSIGN_OR_RETURN(const ResolvedPath resolved, ResolvePath(root_, path, options_.overlay));
  if (resolved.error != 0) return ApplyError(resolved.error, "make directory", path);
  ASSIGN_OR_RETURN(kernel::UniqueFd made, MakeMissing(resolved));
  return Remember(path, std::move(made));
}

absl::StatusOr<kernel::UniqueFd> LayerTree::MakeMissing(const ResolvedPath& resolved) {
  const auto& [components, existing, error] = resolved;
  ASSIGN_OR_RETURN(kernel::UniqueFd at, OpenResolved(root_, components, existing));
  std::string path = JoinComponents(components, existing);
  for (size_t i = existing; i < components.size(); ++i) {
    path = JoinPath(path, components[i]);
    ASSIGN_OR_RETURN(at, MakeParent(at.get(), components[i], path));
  }
  return at;
}

// A directory that the archive has entries in but no entry for.
absl::StatusOr<kernel::UniqueFd> LayerTree::MakeParent(int parent, const std::string& base,
                                                       const std::string& path) {
  RETURN_IF_ERROR(Account(path));
  bool hides_lower = false;
  RETURN_IF_ERROR(MakeEmpty(parent, base, path, hides_lower));
  kernel::UniqueFd made(::openat(parent, base.c_str(), kDirectoryFlags));
  if (!made) return ApplyError(errno, "open directory", path);
  if (hides_lower) RETURN_IF_ERROR(MarkOpaque(made.get(), path));
  std::optional<LowerDirs::Found> like;
  if (!hides_lower) {
    ASSIGN_OR_RETURN(like, FindLower(path));
  }
  Attributes attributes = {.mode = kParentMode};
  if (like && S_ISDIR(like->info.st_mode)) {
    ASSIGN_OR_RETURN(attributes, AttributesOf(*like, path));
    times_.emplace_back(path, attributes.times);
  } else {
    implicit_.push_back(path);
  }
  RETURN_IF_ERROR(setter_.Set(made.get(), path, attributes, /*times=*/false));
  return made;
}

// In an overlay a whiteout of this layer may stand where a directory is needed: it then hides the
// lower directory of that name instead.
absl::Status LayerTree::MakeEmpty(int parent, const std::string& base, const std::string& path,
                                  bool& hides_lower) {
  if (::mkdirat(parent, base.c_str(), kParentMode) == 0) return absl::OkStatus();
  struct stat info = {};
  const bool whiteout = errno == EEXIST && options_.overlay &&
                        ::fstatat(parent, base.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                        IsOverlayWhiteout(info);
  if (!whiteout) return ApplyError(EEXIST, "make directory", path);
  hides_lower = true;
  RETURN_IF_ERROR(Remove(parent, base).status());
  if (::mkdirat(parent, base.c_str(), kParentMode) == 0) return absl::OkStatus();
  return ApplyError(errno, "make directory", path);
}

absl::StatusOr<std::optional<LowerDirs::Found>> LayerTree::FindLower(std::string_view path) {
  if (lower_.empty()) return std::nullopt;
  // Directories of this layer on the way must be there to be looked through, or absent.
  ASSIGN_OR_RETURN(kernel::UniqueFd at, OpenResolved(root_, {}, 0));
  std::string_view parents = Split(path).parent;
  while (!IsOpaque(at.get(), options_.opaque_xattr)) {
    if (parents.empty()) return lower_.Find(path);
    const std::string name(parents.substr(0, parents.find('/')));
    parents.remove_prefix(std::min(parents.size(), name.size() + 1));
    at = kernel::UniqueFd(
        ::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (at) continue;
    if (errno == ENOENT) return lower_.Find(path);
    break;
  }
  return std::nullopt;
}

absl::StatusOr<LayerTree::Removed> LayerTree::Remove(int parent, const std::string& base) {
  struct stat info = {};
  if (::fstatat(parent, base.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return Removed::kNothing;
    return ApplyError(errno, "stat", base);
  }
  const bool directory = S_ISDIR(info.st_mode);
  if (directory || S_ISLNK(info.st_mode)) open_.clear();
  const int flags = directory ? AT_REMOVEDIR : 0;
  if (::unlinkat(parent, base.c_str(), flags) != 0 && errno != ENOENT) {
    if (!directory || (errno != ENOTEMPTY && errno != EEXIST)) {
      return ApplyError(errno, "remove", base);
    }
    const auto removed = kernel::RemoveTree(kernel::PathOfFd(parent) + "/" + base);
    if (!removed) return ApplyError(removed.error().err, "remove", base);
  }
  return directory ? Removed::kDirectory : Removed::kOther;
}

absl::Status LayerTree::MarkOpaque(int directory, std::string_view path) {
  if (::fsetxattr(directory, options_.opaque_xattr.c_str(), "y", 1, 0) == 0) {
    return absl::OkStatus();
  }
  return ApplyError(errno, "mark opaque", path);
}

absl::Status LayerTree::Account(std::string_view path) {
  remembered_bytes_ += path.size() + sizeof(times_.front());
  if (remembered_bytes_ <= options_.max_remembered_bytes) return absl::OkStatus();
  return ResourceExhausted("archive: more than {} bytes of directories",
                           options_.max_remembered_bytes);
}

absl::Status LayerTree::SetTimesLater(std::string_view path, const Times& times) {
  RETURN_IF_ERROR(Account(path));
  times_.emplace_back(path, times);
  return absl::OkStatus();
}

absl::Status LayerTree::SetTimesNow() {
  for (const auto& [path, times] : times_) {
    const SplitPath split = Split(path);
    ASSIGN_OR_RETURN(const DirectoryRef parent, FindDirectory(split.parent));
    if (parent == nullptr) continue;  // removed by a later entry
    const std::string base(split.base);
    struct stat info = {};
    const int found = ::fstatat(parent->fd.get(), base.c_str(), &info, AT_SYMLINK_NOFOLLOW);
    if (found != 0 || !S_ISDIR(info.st_mode)) continue;  // removed or replaced by one
    if (::utimensat(parent->fd.get(), base.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
      return ApplyError(errno, "set times of", path);
    }
  }
  times_.clear();
  return absl::OkStatus();
}

}  // namespace gantry::archive
