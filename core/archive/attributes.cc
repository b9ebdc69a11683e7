// SPDX-License-Identifier: Apache-2.0
#include "core/archive/attributes.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/status.h"
#include "core/kernel/resolve.h"
#include "core/kernel/unique_fd.h"

namespace gantry::archive {
namespace {

constexpr mode_t kModeBits = 07777;

// The last whole second whose nanoseconds since 1970 fit 63 bits, and the rest.
constexpr Timestamp kLatest = {9'223'372'036, 854'775'807};

timespec Bounded(const Timestamp& time) {
  if (time < Timestamp{} || time > kLatest) return {};
  return {.tv_sec = time.seconds, .tv_nsec = time.nanos};
}

absl::StatusOr<uint32_t> OwnerId(int64_t id, std::string_view name) {
  // The highest number means "no change" to chown(2).
  if (id < 0 || id >= 0xffffffff) {
    return InvalidArgument("{:?}: owner {} out of range: invalid archive", name, id);
  }
  return static_cast<uint32_t>(id);
}

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    case EPERM:
    case EACCES:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ELOOP:
    case EINVAL:
    case ENAMETOOLONG:
    case EMLINK:
    case EFBIG:
    case E2BIG:
    case ERANGE:
      return absl::StatusCode::kInvalidArgument;
    case EBUSY:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

// `before` is the mode as found. A change of owner may have dropped set-id bits, and an access list
// among the attributes changes the mode too.
bool NeedsChmod(mode_t before, bool chowned, const Attributes& attributes) {
  return (before & kModeBits) != attributes.mode || !attributes.xattrs.empty() ||
         (chowned && (before & (S_ISUID | S_ISGID)) != 0);
}

}  // namespace

absl::Status ApplyError(int error, std::string_view act, std::string_view name) {
  const absl::Status status = FromErrno(error, fmt::format("{} {:?}", act, name));
  return {CodeOf(error), status.message()};
}

absl::StatusOr<Attributes> AttributesOf(const Entry& entry) {
  Attributes attributes;
  ASSIGN_OR_RETURN(attributes.uid, OwnerId(entry.uid, entry.name));
  ASSIGN_OR_RETURN(attributes.gid, OwnerId(entry.gid, entry.name));
  attributes.mode = static_cast<mode_t>(entry.mode) & kModeBits;
  attributes.times = {Bounded(std::max(entry.atime, entry.mtime)), Bounded(entry.mtime)};
  attributes.xattrs = entry.xattrs;
  return attributes;
}

bool IsHostXattr(std::string_view name) {
  return name.starts_with("trusted.") || name.starts_with("user.overlay.");
}

void AttributeSetter::Warn(std::string_view kind, std::string_view name, std::string_view detail) {
  auto warning = warnings_.find(kind);
  if (warning == warnings_.end()) {
    warning =
        warnings_.emplace(std::string(kind), Warning{0, fmt::format("{:?}: {}", name, detail)})
            .first;
  }
  ++warning->second.count;
}

absl::Status AttributeSetter::SetOwnerError(int error, std::string_view name) const {
  absl::Status status = ApplyError(error, "change owner of", name);
  if (error != EINVAL || !in_user_namespace_) return status;
  return InvalidArgument(
      "change owner of {:?}: not mapped in this user namespace; are there enough subordinate IDs "
      "in /etc/subuid and /etc/subgid?",
      name);
}

absl::Status AttributeSetter::Set(int fd, std::string_view name, const Attributes& attributes,
                                  bool times) {
  struct stat info = {};
  if (::fstat(fd, &info) != 0) return ApplyError(errno, "stat", name);
  bool chowned = false;
  if (info.st_uid != attributes.uid || info.st_gid != attributes.gid) {
    if (::fchown(fd, attributes.uid, attributes.gid) != 0) return SetOwnerError(errno, name);
    chowned = true;
  }
  if (!attributes.xattrs.empty()) {
    RETURN_IF_ERROR(SetXattrs(fd, "", info.st_mode, name, attributes.xattrs));
  }
  if (NeedsChmod(info.st_mode, chowned, attributes) && ::fchmod(fd, attributes.mode) != 0) {
    return ApplyError(errno, "change mode of", name);
  }
  if (times && ::futimens(fd, attributes.times.data()) != 0) {
    return ApplyError(errno, "set times of", name);
  }
  return absl::OkStatus();
}

absl::Status AttributeSetter::SetAt(int parent, const std::string& base, std::string_view name,
                                    const Attributes& attributes) {
  // An O_PATH fd pins the object; the calls below reach it through /proc and cannot be led astray.
  const kernel::UniqueFd node(::openat(parent, base.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info = {};
  if (!node || ::fstat(node.get(), &info) != 0) return ApplyError(errno, "open", name);
  bool chowned = false;
  if (info.st_uid != attributes.uid || info.st_gid != attributes.gid) {
    if (::fchownat(node.get(), "", attributes.uid, attributes.gid, AT_EMPTY_PATH) != 0) {
      return SetOwnerError(errno, name);
    }
    chowned = true;
  }
  const bool symlink = S_ISLNK(info.st_mode);
  const std::string path = kernel::PathOfFd(node.get());
  if (!attributes.xattrs.empty()) {
    // For a symlink the link in /proc would be followed one step too far.
    const std::string place = symlink ? kernel::PathOfFd(parent) + "/" + base : path;
    RETURN_IF_ERROR(SetXattrs(-1, place, info.st_mode, name, attributes.xattrs));
  }
  if (!symlink && NeedsChmod(info.st_mode, chowned, attributes) &&
      ::chmod(path.c_str(), attributes.mode) != 0) {
    return ApplyError(errno, "change mode of", name);
  }
  if (::utimensat(node.get(), "", attributes.times.data(), AT_EMPTY_PATH) != 0) {
    return ApplyError(errno, "set times of", name);
  }
  return absl::OkStatus();
}

absl::Status AttributeSetter::SetXattrs(int fd, const std::string& path, mode_t type,
                                        std::string_view name, const Xattrs& xattrs) {
  const bool symlink = S_ISLNK(type);
  const bool plain = S_ISREG(type) || S_ISDIR(type);
  for (const auto& [key, value] : xattrs) {
    if (IsHostXattr(key)) {
      Warn("attribute of the host skipped", name, key);
      continue;
    }
    int failed = 0;
    if (fd >= 0) {
      failed = ::fsetxattr(fd, key.c_str(), value.data(), value.size(), 0);
    } else {
      auto* const set = symlink ? &::lsetxattr : &::setxattr;
      failed = set(path.c_str(), key.c_str(), value.data(), value.size(), 0);
    }
    if (failed == 0) continue;
    if (errno == ENOTSUP || (errno == EPERM && key.starts_with("user.") && !plain)) {
      Warn("attribute not supported here skipped", name, key);
      continue;
    }
    return ApplyError(errno, fmt::format("set attribute {:?} of", key), name);
  }
  return absl::OkStatus();
}

absl::StatusOr<Xattrs> ReadXattrs(int fd, std::string_view shown) {
  const std::string path = kernel::PathOfFd(fd);
  std::string names(size_t{1} << 16, '\0');
  const ssize_t size = ::listxattr(path.c_str(), names.data(), names.size());
  if (size < 0 && errno == ENOTSUP) return Xattrs();
  if (size < 0) return ApplyError(errno, "list attributes of", shown);
  Xattrs xattrs;
  std::string value(size_t{1} << 16, '\0');
  for (std::string_view rest(names.data(), static_cast<size_t>(size)); !rest.empty();) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    if (IsHostXattr(name)) continue;
    const ssize_t got = ::getxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (got < 0 && (errno == ENODATA || errno == ENOTSUP)) continue;
    if (got < 0) return ApplyError(errno, "read attributes of", shown);
    xattrs.emplace_back(name, value.substr(0, static_cast<size_t>(got)));
  }
  return xattrs;
}

}  // namespace gantry::archive
