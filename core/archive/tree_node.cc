// SPDX-License-Identifier: Apache-2.0
#include "core/archive/tree_node.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>

#include "core/base/status.h"
#include "core/kernel/resolve.h"

namespace gantry::archive {
namespace {

constexpr char kCapability[] = "security.capability";

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

std::string PathOf(const TreeNode& node) { return kernel::PathOfFd(node.parent) + "/" + node.name; }

absl::StatusOr<size_t> ReadFull(int fd, char* buffer, size_t size, std::string_view name) {
  size_t have = 0;
  while (have < size) {
    const ssize_t count = ::read(fd, buffer + have, size - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return TreeError(errno, "read", name);
    if (count == 0) break;
    have += static_cast<size_t>(count);
  }
  return have;
}

absl::StatusOr<bool> SameContent(const TreeNode& left, const TreeNode& right) {
  constexpr size_t kPiece = 128 * 1024;
  ASSIGN_OR_RETURN(const kernel::UniqueFd one, OpenFileNode(left));
  ASSIGN_OR_RETURN(const kernel::UniqueFd other, OpenFileNode(right));
  const auto buffer = std::make_unique<char[]>(2 * kPiece);
  for (;;) {
    ASSIGN_OR_RETURN(const size_t count, ReadFull(one.get(), buffer.get(), kPiece, left.name));
    ASSIGN_OR_RETURN(const size_t other_count,
                     ReadFull(other.get(), buffer.get() + kPiece, kPiece, right.name));
    if (count != other_count || std::memcmp(buffer.get(), buffer.get() + kPiece, count) != 0) {
      return false;
    }
    if (count < kPiece) return true;
  }
}

absl::StatusOr<bool> SameUntimedContent(const TreeNode& left, const TreeNode& right) {
  if (S_ISLNK(left.info.st_mode)) {
    ASSIGN_OR_RETURN(const std::string target, ReadLinkNode(left));
    ASSIGN_OR_RETURN(const std::string other, ReadLinkNode(right));
    return target == other;
  }
  if (!left.is_regular() || left.info.st_size == 0) return true;
  return SameContent(left, right);
}

absl::StatusOr<bool> SameCapability(const TreeNode& left, const TreeNode& right) {
  if (!left.is_regular()) return true;
  ASSIGN_OR_RETURN(const std::string one, ReadXattrNode(left, kCapability));
  ASSIGN_OR_RETURN(const std::string other, ReadXattrNode(right, kCapability));
  return one == other;
}

}  // namespace

absl::Status TreeError(int error, std::string_view act, std::string_view name) {
  const absl::Status status = FromErrno(error, fmt::format("{} {:?}", act, name));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ESTALE:
    case ENXIO:
      return {absl::StatusCode::kAborted, status.message()};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return {absl::StatusCode::kResourceExhausted, status.message()};
    case EACCES:
    case EPERM:
      return {absl::StatusCode::kPermissionDenied, status.message()};
    default:
      return {absl::StatusCode::kInternal, status.message()};
  }
}

absl::StatusOr<std::optional<TreeNode>> FindNode(int parent, const std::string& name) {
  TreeNode node = {.parent = parent, .name = name};
  if (::fstatat(parent, name.c_str(), &node.info, AT_SYMLINK_NOFOLLOW) == 0) return node;
  if (errno == ENOENT) return std::nullopt;
  return TreeError(errno, "stat", name);
}

absl::StatusOr<std::vector<std::string>> ReadNames(int directory) {
  const int listing = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, CloseDir> dir(listing < 0 ? nullptr : ::fdopendir(listing));
  if (dir == nullptr) return TreeError(errno, "read directory", "");
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return TreeError(errno, "read directory", "");
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<kernel::UniqueFd> OpenDirectoryNode(const TreeNode& node) {
  kernel::UniqueFd fd(
      ::openat(node.parent, node.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return TreeError(errno, "open directory", node.name);
  return fd;
}

absl::StatusOr<kernel::UniqueFd> OpenFileNode(const TreeNode& node) {
  // A fifo may have taken the file's place; opening one without O_NONBLOCK would wait for ever.
  kernel::UniqueFd fd(
      ::openat(node.parent, node.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info = {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return TreeError(errno, "open", node.name);
  if (!S_ISREG(info.st_mode)) return Aborted("open {:?}: no longer a file", node.name);
  return fd;
}

absl::StatusOr<std::string> ReadLinkNode(const TreeNode& node) {
  std::array<char, PATH_MAX> target = {};
  const ssize_t size = ::readlinkat(node.parent, node.name.c_str(), target.data(), target.size());
  // EINVAL: no longer a symlink.
  if (size < 0) return TreeError(errno == EINVAL ? ESTALE : errno, "read link", node.name);
  return std::string(target.data(), static_cast<size_t>(size));
}

absl::StatusOr<std::string> ReadXattrNode(const TreeNode& node, const std::string& xattr) {
  std::array<char, 1024> value = {};
  const ssize_t size = ::lgetxattr(PathOf(node).c_str(), xattr.c_str(), value.data(), value.size());
  if (size < 0 && (errno == ENODATA || errno == ENOTSUP)) return std::string();
  if (size < 0) return TreeError(errno, "read attribute of", node.name);
  return std::string(value.data(), static_cast<size_t>(size));
}

absl::StatusOr<std::string> ListXattrsNode(const TreeNode& node) {
  std::string names(256, '\0');
  for (;;) {
    const ssize_t size = ::llistxattr(PathOf(node).c_str(), names.data(), names.size());
    if (size >= 0) {
      names.resize(static_cast<size_t>(size));
      return names;
    }
    if (errno == ENOTSUP) return std::string();
    if (errno != ERANGE || names.size() > 65'536) {
      return TreeError(errno, "list attributes of", node.name);
    }
    names.resize(names.size() * 4);
  }
}

absl::StatusOr<bool> SameNode(const TreeNode& left, const TreeNode& right) {
  const struct stat& one = left.info;
  const struct stat& other = right.info;
  if (one.st_dev == other.st_dev && one.st_ino == other.st_ino) return true;
  if (one.st_mode != other.st_mode || one.st_uid != other.st_uid || one.st_gid != other.st_gid ||
      one.st_rdev != other.st_rdev) {
    return false;
  }
  ASSIGN_OR_RETURN(const bool same_capability, SameCapability(left, right));
  if (!same_capability) return false;
  if (left.is_directory()) return true;
  if (one.st_size != other.st_size || one.st_mtim.tv_sec != other.st_mtim.tv_sec ||
      one.st_mtim.tv_nsec != other.st_mtim.tv_nsec) {
    return false;
  }
  // Whole seconds: perhaps cut by an archive, so that a change within the second does not show.
  return one.st_mtim.tv_nsec != 0 ? true : SameUntimedContent(left, right);
}

}  // namespace gantry::archive
