// SPDX-License-Identifier: Apache-2.0
#include "core/archive/entry_maker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <optional>
#include <utility>

#include "core/archive/file_content.h"
#include "core/archive/names.h"
#include "core/archive/overlay_marks.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "core/kernel/resolve.h"

namespace gantry::archive {
namespace {

constexpr mode_t kPermissions = 0777;
constexpr int kNewFileFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

absl::StatusOr<dev_t> DeviceOf(const Entry& entry) {
  constexpr int64_t kMost = std::numeric_limits<uint32_t>::max();
  if (entry.dev_major < 0 || entry.dev_major > kMost || entry.dev_minor < 0 ||
      entry.dev_minor > kMost) {
    return InvalidArgument("{:?}: device number {}:{} out of range: invalid archive", entry.name,
                           entry.dev_major, entry.dev_minor);
  }
  return ::makedev(static_cast<unsigned>(entry.dev_major), static_cast<unsigned>(entry.dev_minor));
}

mode_t TypeBits(EntryType type) {
  switch (type) {
    case EntryType::kCharDevice:
      return S_IFCHR;
    case EntryType::kBlockDevice:
      return S_IFBLK;
    default:
      return S_IFIFO;
  }
}

}  // namespace

absl::Status EntryMaker::Make(const Entry& entry, const std::string& path, int parent,
                              TarReader& archive) {
  ASSIGN_OR_RETURN(const Attributes attributes, AttributesOf(entry));
  const Place place = {path, parent, std::string(Split(path).base)};
  switch (entry.type) {
    case EntryType::kRegular:
      return MakeFile(entry, place, attributes, archive);
    case EntryType::kDirectory:
      return MakeDirectory(place, attributes);
    case EntryType::kSymlink:
      return MakeSymlink(entry, place, attributes);
    case EntryType::kHardLink:
      return MakeHardLink(entry, place, attributes);
    case EntryType::kCharDevice:
    case EntryType::kBlockDevice:
    case EntryType::kFifo:
      return MakeNode(entry, place, attributes);
    case EntryType::kOther:
      break;
  }
  return InvalidArgument("{:?}: unhandled tar header type {:?}", entry.name, entry.type_flag);
}

absl::Status EntryMaker::Replacing(const Place& place, std::string_view act,
                                   absl::FunctionRef<int()> make) {
  if (make() == 0) return absl::OkStatus();
  if (errno != EEXIST) return ApplyError(errno, act, place.path);
  RETURN_IF_ERROR(tree_.Remove(place.parent, place.base).status());
  if (make() == 0) return absl::OkStatus();
  return ApplyError(errno, act, place.path);
}

absl::Status EntryMaker::MakeFile(const Entry& entry, const Place& place,
                                  const Attributes& attributes, TarReader& archive) {
  kernel::UniqueFd file;
  // Set-id bits come last: nobody may run a half-written file with them.
  RETURN_IF_ERROR(Replacing(place, "create", [&] {
    file.Reset(
        ::openat(place.parent, place.base.c_str(), kNewFileFlags, attributes.mode & kPermissions));
    return file ? 0 : -1;
  }));
  RETURN_IF_ERROR(WriteContent(ctx_, entry, archive, file.get()));
  return setter_.Set(file.get(), place.path, attributes, /*times=*/true);
}

absl::Status EntryMaker::MakeDirectory(const Place& place, const Attributes& attributes) {
  const mode_t mode = attributes.mode & kPermissions;
  bool replaced = false;
  kernel::UniqueFd directory;
  if (::mkdirat(place.parent, place.base.c_str(), mode) != 0) {
    if (errno != EEXIST) return ApplyError(errno, "make directory", place.path);
    directory.Reset(::openat(place.parent, place.base.c_str(), kDirectoryFlags));
    if (!directory) {  // something else
      replaced = true;
      RETURN_IF_ERROR(Replacing(place, "make directory",
                                [&] { return ::mkdirat(place.parent, place.base.c_str(), mode); }));
    }
  }
  if (!directory) {
    directory.Reset(::openat(place.parent, place.base.c_str(), kDirectoryFlags));
    if (!directory) return ApplyError(errno, "open directory", place.path);
  }
  RETURN_IF_ERROR(setter_.Set(directory.get(), place.path, attributes, /*times=*/false));
  // What was there hid a lower directory of that name; the new one must not bring it back.
  if (replaced && overlay_) RETURN_IF_ERROR(tree_.MarkOpaque(directory.get(), place.path));
  RETURN_IF_ERROR(tree_.Remember(place.path, std::move(directory)).status());
  return tree_.SetTimesLater(place.path, attributes.times);
}

absl::Status EntryMaker::MakeSymlink(const Entry& entry, const Place& place,
                                     const Attributes& attributes) {
  RETURN_IF_ERROR(Replacing(place, "make symlink", [&] {
    return ::symlinkat(entry.link.c_str(), place.parent, place.base.c_str());
  }));
  return setter_.SetAt(place.parent, place.base, place.path, attributes);
}

absl::Status EntryMaker::MakeNode(const Entry& entry, const Place& place,
                                  const Attributes& attributes) {
  dev_t device = 0;
  if (entry.type != EntryType::kFifo) {
    ASSIGN_OR_RETURN(device, DeviceOf(entry));
  }
  const mode_t mode = TypeBits(entry.type) | (attributes.mode & kPermissions);
  RETURN_IF_ERROR(Replacing(place, "make node", [&] {
    return ::mknodat(place.parent, place.base.c_str(), mode, device);
  }));
  return setter_.SetAt(place.parent, place.base, place.path, attributes);
}

absl::Status EntryMaker::MakeOverlayWhiteout(int parent, const std::string& base,
                                             const Entry& entry) {
  ASSIGN_OR_RETURN(const Attributes attributes, AttributesOf(entry));
  const Place place = {entry.name, parent, base};
  RETURN_IF_ERROR(Replacing(place, "make whiteout", [&] {
    return ::mknodat(parent, base.c_str(), S_IFCHR, ::makedev(0, 0));
  }));
  if (attributes.uid == 0 && attributes.gid == 0) return absl::OkStatus();
  if (::fchownat(parent, base.c_str(), attributes.uid, attributes.gid, AT_SYMLINK_NOFOLLOW) == 0) {
    return absl::OkStatus();
  }
  return ApplyError(errno, "change owner of", entry.name);
}

absl::Status EntryMaker::MakeHardLink(const Entry& entry, const Place& place,
                                      const Attributes& attributes) {
  const std::string target = CleanName(entry.link);
  struct stat info = {};
  ASSIGN_OR_RETURN(const DirectoryRef directory, FindLinkTarget(target, info));
  if (S_ISDIR(info.st_mode)) {
    return InvalidArgument("{:?}: hard link to directory {:?}", entry.name, entry.link);
  }
  struct stat existing = {};
  const std::string source(Split(target).base);
  RETURN_IF_ERROR(Replacing(place, "link", [&] {
    const int failed =
        ::linkat(directory->fd.get(), source.c_str(), place.parent, place.base.c_str(), 0);
    if (failed == 0 || errno != EEXIST) return failed;
    // A name of the same file already: removing it first could remove the target.
    const bool same =
        ::fstatat(place.parent, place.base.c_str(), &existing, AT_SYMLINK_NOFOLLOW) == 0 &&
        existing.st_dev == info.st_dev && existing.st_ino == info.st_ino;
    errno = EEXIST;
    return same ? 0 : -1;
  }));
  return setter_.SetAt(place.parent, place.base, place.path, attributes);
}

absl::StatusOr<DirectoryRef> EntryMaker::FindLinkTarget(const std::string& target,
                                                        struct stat& info) {
  if (target.empty()) return InvalidArgument("hard link to the root");
  const SplitPath split = Split(target);
  const std::string base(split.base);
  ASSIGN_OR_RETURN(DirectoryRef directory, tree_.FindDirectory(split.parent));
  const auto stat_target = [&] {
    return directory != nullptr &&
           ::fstatat(directory->fd.get(), base.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
  };
  const bool found = stat_target();
  if (found && !(overlay_ && IsOverlayWhiteout(info))) return directory;
  if (!found) {
    RETURN_IF_ERROR(CopyUp(target));
    ASSIGN_OR_RETURN(directory, tree_.FindDirectory(split.parent));
    if (stat_target()) return directory;
  }
  return InvalidArgument("hard link to {:?}, which does not exist", target);
}

// Does nothing where the lower directories have no such file.
absl::Status EntryMaker::CopyUp(const std::string& path) {
  ASSIGN_OR_RETURN(const auto found, tree_.FindLower(path));
  if (!found || S_ISDIR(found->info.st_mode)) return absl::OkStatus();
  const SplitPath split = Split(path);
  ASSIGN_OR_RETURN(const DirectoryRef directory, tree_.MakeDirectory(split.parent));
  const Place place = {path, directory->fd.get(), std::string(split.base)};
  ASSIGN_OR_RETURN(const Attributes attributes, AttributesOf(*found, path));
  if (S_ISREG(found->info.st_mode)) {
    auto from = kernel::Open(kernel::PathOfFd(found->fd.get()), O_RDONLY);
    if (!from) return ApplyError(from.error().err, "open", path);
    const kernel::UniqueFd to(
        ::openat(place.parent, place.base.c_str(), kNewFileFlags, attributes.mode & kPermissions));
    if (!to) return ApplyError(errno, "create", path);
    RETURN_IF_ERROR(CopyContent(ctx_, from->get(), to.get(), path));
    return setter_.Set(to.get(), path, attributes, /*times=*/true);
  }
  if (S_ISLNK(found->info.st_mode)) {
    std::string target(static_cast<size_t>(found->info.st_size) + 1, '\0');
    const ssize_t size = ::readlinkat(found->fd.get(), "", target.data(), target.size());
    if (size < 0) return ApplyError(errno, "read link", path);
    target.resize(static_cast<size_t>(size));
    if (::symlinkat(target.c_str(), place.parent, place.base.c_str()) != 0) {
      return ApplyError(errno, "make symlink", path);
    }
  } else if (::mknodat(place.parent, place.base.c_str(), found->info.st_mode,
                       found->info.st_rdev) != 0) {
    return ApplyError(errno, "make node", path);
  }
  return setter_.SetAt(place.parent, place.base, path, attributes);
}

}  // namespace gantry::archive
