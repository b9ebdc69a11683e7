// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/snapshot_directories.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

#include "core/kernel/file.h"
#include "core/kernel/tree.h"

namespace gantry::snapshots {
namespace {

namespace fs = std::filesystem;

std::optional<FoundDirectory> Classify(std::string_view name) {
  FoundDirectory found;
  if (name.starts_with("new-")) {
    found.state = FoundDirectory::State::kProvisional;
    name.remove_prefix(4);
  } else if (name.starts_with("rm-")) {
    found.state = FoundDirectory::State::kDiscarded;
    name.remove_prefix(3);
  }
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), found.id);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return found;
}

absl::Status MakeFolder(const fs::path& path) {
  const auto made = kernel::MakeDirectories(path, 0700);
  return made ? absl::OkStatus() : DiskStatus(made.error());
}

absl::Status RemoveTree(const Context& ctx, const fs::path& path) {
  const auto removed = kernel::RemoveTree(path, [&ctx] { return !ctx.Check().ok(); });
  if (removed) return absl::OkStatus();
  RETURN_IF_ERROR(ctx.Check());
  return DiskStatus(removed.error());
}

}  // namespace

absl::Status DiskStatus(const kernel::Error& error) {
  switch (error.err) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ResourceExhausted("{}", error.Text());
    default:
      return Internal("{}", error.Text());
  }
}

absl::StatusOr<SnapshotDirectories> SnapshotDirectories::Open(fs::path root) {
  SnapshotDirectories directories(std::move(root));
  RETURN_IF_ERROR(MakeFolder(directories.root_));
  RETURN_IF_ERROR(MakeFolder(directories.snapshots_));
  return directories;
}

absl::Status SnapshotDirectories::MakeProvisional(uint64_t id, mode_t mode) const {
  const fs::path path = ProvisionalPath(id);
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno != EEXIST) return DiskStatus(kernel::LastError("create " + path.string()));
    RETURN_IF_ERROR(RemoveTree({}, path));
    if (::mkdir(path.c_str(), mode) != 0)
      return DiskStatus(kernel::LastError("create " + path.string()));
  }
  // The umask must not decide what containers see.
  if (::chmod(path.c_str(), mode) != 0)
    return DiskStatus(kernel::LastError("chmod " + path.string()));
  return absl::OkStatus();
}

absl::Status SnapshotDirectories::Publish(uint64_t id) const {
  const fs::path path = Path(id);
  if (::rename(ProvisionalPath(id).c_str(), path.c_str()) == 0) return absl::OkStatus();
  const kernel::Error error = kernel::LastError("publish " + path.string());
  if (error.err == ENOENT && ::access(path.c_str(), F_OK) == 0) return absl::OkStatus();
  return DiskStatus(error);
}

absl::Status SnapshotDirectories::Discard(const Context& ctx, uint64_t id) const {
  RETURN_IF_ERROR(RemoveTree(ctx, ProvisionalPath(id)));
  // Under its own name a directory is whole; what is half removed is called so.
  const fs::path doomed = Named("rm-", id);
  if (::rename(Path(id).c_str(), doomed.c_str()) != 0 && errno != ENOENT)
    return DiskStatus(kernel::LastError("discard " + Path(id).string()));
  return RemoveTree(ctx, doomed);
}

absl::Status SnapshotDirectories::Sync() const {
  const auto synced = kernel::SyncDirectory(snapshots_);
  return synced ? absl::OkStatus() : DiskStatus(synced.error());
}

absl::StatusOr<std::vector<FoundDirectory>> SnapshotDirectories::Scan() const {
  return ScanSnapshotDirectories(root_);
}

absl::StatusOr<std::vector<FoundDirectory>> ScanSnapshotDirectories(const fs::path& root) {
  std::vector<FoundDirectory> all;
  std::error_code error;
  fs::directory_iterator entry(root / "snapshots", error);
  if (error == std::errc::no_such_file_or_directory) return all;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (const auto found = Classify(entry->path().filename().native())) all.push_back(*found);
  }
  if (error) return Internal("read {}/snapshots: {}", root.string(), error.message());
  return all;
}

}  // namespace gantry::snapshots
