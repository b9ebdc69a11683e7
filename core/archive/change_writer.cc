// SPDX-License-Identifier: Apache-2.0
#include "core/archive/change_writer.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/archive/names.h"
#include "core/base/status.h"
#include "core/kernel/resolve.h"

namespace gantry::archive {
namespace {

constexpr size_t kPiece = size_t{1} << 20;

EntryType TypeOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return EntryType::kDirectory;
    case S_IFLNK:
      return EntryType::kSymlink;
    case S_IFCHR:
      return EntryType::kCharDevice;
    case S_IFBLK:
      return EntryType::kBlockDevice;
    case S_IFIFO:
      return EntryType::kFifo;
    default:
      return EntryType::kRegular;
  }
}

}  // namespace

absl::StatusOr<Entry> ChangeWriter::EntryOf(const std::string& path, const TreeNode& node) {
  const struct stat& info = node.info;
  Entry entry;
  entry.type = TypeOf(info.st_mode);
  entry.name = node.is_directory() ? path + "/" : path;
  entry.mode = info.st_mode & 07777;
  entry.uid = info.st_uid;
  entry.gid = info.st_gid;
  entry.mtime.seconds = info.st_mtim.tv_sec;
  if (options_.source_date_epoch) {
    entry.mtime.seconds = std::min(entry.mtime.seconds, *options_.source_date_epoch);
  }
  if (entry.type == EntryType::kRegular) entry.size = static_cast<uint64_t>(info.st_size);
  if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
    entry.dev_major = ::major(info.st_rdev);
    entry.dev_minor = ::minor(info.st_rdev);
  }
  if (entry.type == EntryType::kSymlink) {
    ASSIGN_OR_RETURN(entry.link, ReadLinkNode(node));
  }
  if (entry.type == EntryType::kRegular) {
    constexpr char kCapability[] = "security.capability";
    ASSIGN_OR_RETURN(std::string capability, ReadXattrNode(node, kCapability));
    if (!capability.empty()) entry.xattrs.emplace_back(kCapability, std::move(capability));
  }
  return entry;
}

absl::Status ChangeWriter::UnchangedLink(const std::string& path, const TreeNode& node) {
  const Inode inode = {node.info.st_dev, node.info.st_ino};
  if (link_sources_.contains(inode)) return Changed(path, node);
  unwritten_[inode].push_back(path);
  return absl::OkStatus();
}

absl::Status ChangeWriter::Changed(const std::string& path, const TreeNode& node) {
  if (S_ISSOCK(node.info.st_mode)) return absl::OkStatus();
  ASSIGN_OR_RETURN(Entry entry, EntryOf(path, node));
  if (!node.is_linked()) {
    RETURN_IF_ERROR(IncludeParents(path));
    if (node.is_directory()) directories_.insert(path);
    return WriteFile(entry, node);
  }
  const Inode inode = {node.info.st_dev, node.info.st_ino};
  const auto [source, first] = link_sources_.emplace(inode, path);
  if (!first) return WriteLinks(std::move(entry), source->second, {path});
  RETURN_IF_ERROR(IncludeParents(path));
  RETURN_IF_ERROR(WriteFile(entry, node));
  const auto unwritten = unwritten_.extract(inode);
  if (unwritten.empty()) return absl::OkStatus();
  return WriteLinks(std::move(entry), path, unwritten.mapped());
}

absl::Status ChangeWriter::WriteLinks(Entry entry, const std::string& source,
                                      const std::vector<std::string>& names) {
  entry.type = EntryType::kHardLink;
  entry.link = source;
  entry.size = 0;
  for (const std::string& name : names) {
    entry.name = name;
    RETURN_IF_ERROR(IncludeParents(name));
    RETURN_IF_ERROR(tar_.WriteHeader(entry));
  }
  return absl::OkStatus();
}

absl::Status ChangeWriter::WriteFile(const Entry& entry, const TreeNode& node) {
  RETURN_IF_ERROR(tar_.WriteHeader(entry));
  if (entry.type != EntryType::kRegular || entry.size == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const kernel::UniqueFd file, OpenFileNode(node));
  buffer_.resize(kPiece);
  // A file that grows meanwhile is cut at the length announced.
  for (uint64_t left = entry.size; left > 0;) {
    RETURN_IF_ERROR(ctx_.Check());
    const ssize_t count = ::read(file.get(), buffer_.data(),
                                 static_cast<size_t>(std::min<uint64_t>(left, buffer_.size())));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return TreeError(errno, "read", entry.name);
    if (count == 0) return Aborted("read {:?}: it became shorter", entry.name);
    RETURN_IF_ERROR(tar_.WriteContent({buffer_.data(), static_cast<size_t>(count)}));
    left -= static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::Status ChangeWriter::Deleted(const std::string& path) {
  const SplitPath split = Split(path);
  RETURN_IF_ERROR(IncludeParents(path));
  return tar_.WriteHeader(
      {.name = JoinPath(split.parent, std::string(kWhiteoutPrefix) + std::string(split.base))});
}

// Writes the directories above `path` that are not in the layer yet, as they are.
absl::Status ChangeWriter::IncludeParents(std::string_view path) {
  std::vector<std::string> missing;
  for (std::string parent(Split(path).parent); !parent.empty(); parent = Split(parent).parent) {
    if (!directories_.insert(parent).second) break;
    missing.push_back(parent);
  }
  for (auto parent = missing.rbegin(); parent != missing.rend(); ++parent) {
    const auto fd = kernel::OpenInside(right_, *parent, O_PATH | O_DIRECTORY,
                                       {.scope = kernel::Scope::kBeneath,
                                        .follow_symlinks = false,
                                        .cross_mounts = true,
                                        .mode = 0});
    TreeNode node;
    if (!fd) return TreeError(fd.error().err, "open directory", *parent);
    if (::fstat(fd->get(), &node.info) != 0) return TreeError(errno, "stat", *parent);
    ASSIGN_OR_RETURN(const Entry entry, EntryOf(*parent, node));
    RETURN_IF_ERROR(tar_.WriteHeader(entry));
  }
  return absl::OkStatus();
}

}  // namespace gantry::archive
