// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/targets.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "core/mount/mounting.h"

namespace gantry::mount {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTypeSuffix = "-type";
constexpr size_t kMaxTypeBytes = 4096;

std::optional<uint64_t> ParseId(std::string_view name) {
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return id;
}

// The mount points of an activation in the order of unmounting. Either of a mount's two files may
// be missing.
absl::StatusOr<std::vector<fs::path>> MountPointsIn(const fs::path& directory) {
  std::map<uint64_t, fs::path> points;
  std::error_code error;
  // A plain loop over the directory would throw.
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.ends_with(kTypeSuffix)) name.resize(name.size() - kTypeSuffix.size());
    if (const auto number = ParseId(name)) points[*number] = directory / name;
  }
  if (error == std::errc::no_such_file_or_directory) return std::vector<fs::path>();
  if (error) return FromErrno(error.value(), "read " + directory.string());
  std::vector<fs::path> ordered;
  for (auto& [number, path] : points) ordered.push_back(std::move(path));
  return ordered;
}

absl::Status RemoveDirectory(const fs::path& path) {
  // rmdir alone: what is in the way may be a mount's data.
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return FromErrno(errno, "remove " + path.string());
}

}  // namespace

absl::StatusOr<Targets> Targets::Open(fs::path directory, const Handlers& handlers) {
  RETURN_IF_ERROR(ToStatus(kernel::MakeDirectories(directory.string(), 0700)));
  return Targets(std::move(directory), handlers);
}

fs::path Targets::PathOf(uint64_t id) const { return directory_ / std::to_string(id); }

absl::Status Targets::Create(uint64_t id) const {
  const fs::path path = PathOf(id);
  if (::mkdir(path.c_str(), 0700) != 0) return FromErrno(errno, "mkdir " + path.string());
  return absl::OkStatus();
}

absl::StatusOr<std::string> Targets::Reserve(uint64_t id, size_t index, size_t count,
                                             const std::string& type) const {
  int width = 1;
  if (count > 10) width = 2;
  if (count > 100) width = 3;
  const std::string path = (PathOf(id) / fmt::format("{:0{}}", count - index, width)).string();
  RETURN_IF_ERROR(ToStatus(kernel::WriteFileAtomic(path + std::string(kTypeSuffix), type, 0600,
                                                   kernel::Durability::kNone)));
  return path;
}

absl::Status Targets::UndoOne(const Context& ctx, const fs::path& mount_point) const {
  const std::string type_file = mount_point.string() + std::string(kTypeSuffix);
  const auto type = kernel::ReadFile(type_file, kMaxTypeBytes);
  if (!type && type.error().err != ENOENT) return ToStatus(type.error());
  const auto handler = type ? handlers_->find(*type) : handlers_->end();
  if (handler != handlers_->end()) {
    RETURN_IF_ERROR(handler->second->UnmountAt(ctx, mount_point.string()));
  } else {
    RETURN_IF_ERROR(UnmountAll(mount_point.string()));
  }
  // A handler that failed half-way may have left a directory.
  RETURN_IF_ERROR(RemoveDirectory(mount_point));
  if (::unlink(type_file.c_str()) != 0 && errno != ENOENT) {
    return FromErrno(errno, "remove " + type_file);
  }
  return absl::OkStatus();
}

absl::Status Targets::Undo(const Context& ctx, uint64_t id) const {
  ASSIGN_OR_RETURN(const std::vector<fs::path> points, MountPointsIn(PathOf(id)));
  absl::Status first;
  for (const fs::path& point : points) first.Update(UndoOne(ctx, point));
  RETURN_IF_ERROR(first);
  return RemoveDirectory(PathOf(id));
}

absl::Status Targets::Forget(uint64_t id) const {
  ASSIGN_OR_RETURN(const std::vector<fs::path> points, MountPointsIn(PathOf(id)));
  absl::Status first;
  for (const fs::path& point : points) {
    ::unlink((point.string() + std::string(kTypeSuffix)).c_str());
    // A handler's link to a device.
    if (::unlink(point.c_str()) != 0) first.Update(RemoveDirectory(point));
  }
  RETURN_IF_ERROR(first);
  return RemoveDirectory(PathOf(id));
}

bool Targets::Exists(uint64_t id) const { return ::access(PathOf(id).c_str(), F_OK) == 0; }

absl::StatusOr<std::vector<uint64_t>> Targets::Ids() const {
  std::vector<uint64_t> ids;
  std::error_code error;
  for (fs::directory_iterator entry(directory_, error), end; !error && entry != end;
       entry.increment(error)) {
    if (const auto id = ParseId(entry->path().filename().string())) ids.push_back(*id);
  }
  if (error) return FromErrno(error.value(), "read " + directory_.string());
  return ids;
}

}  // namespace gantry::mount
