// SPDX-License-Identifier: Apache-2.0
#include "services/server/socket.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "core/base/status.h"

namespace gantry::server {
namespace {

constexpr size_t kMaxSocketPath = 104;
constexpr mode_t kSocketMode = 0660;
constexpr mode_t kFolderMode = 0770;

// The folder above the socket; one that exists is left alone.
absl::Status PrepareFolder(const std::filesystem::path& folder, uid_t uid, gid_t gid) {
  struct stat attributes {};
  if (::stat(folder.c_str(), &attributes) == 0) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(folder.parent_path(), error);
  if (error) {
    return FromErrno(error.value(), fmt::format("create {}", folder.parent_path().string()));
  }
  if (::mkdir(folder.c_str(), kFolderMode) != 0) {
    return FromErrno(errno, fmt::format("create {}", folder.string()));
  }
  if (::chown(folder.c_str(), uid, gid) != 0) {
    return FromErrno(errno, fmt::format("chown {}", folder.string()));
  }
  return absl::OkStatus();
}

absl::Status RemoveStale(const std::string& path) {
  struct stat attributes {};
  if (::lstat(path.c_str(), &attributes) != 0) {
    return errno == ENOENT ? absl::OkStatus() : FromErrno(errno, fmt::format("stat {}", path));
  }
  if (!S_ISSOCK(attributes.st_mode)) return AlreadyExists("{} is no socket", path);
  if (::unlink(path.c_str()) != 0) return FromErrno(errno, fmt::format("remove socket {}", path));
  return absl::OkStatus();
}

}  // namespace

absl::Status PrepareSocket(const SocketOptions& options) {
  const std::filesystem::path path = options.address;
  if (!path.is_absolute()) {
    return InvalidArgument("socket address \"{}\" is no absolute path", options.address);
  }
  if (options.address.size() > kMaxSocketPath) {
    return InvalidArgument("socket path {} is longer than {} characters", options.address,
                           kMaxSocketPath);
  }
  RETURN_IF_ERROR(PrepareFolder(path.parent_path(), options.uid, options.gid));
  return RemoveStale(options.address);
}

absl::Status ProtectSocket(const SocketOptions& options) {
  if (::chown(options.address.c_str(), options.uid, options.gid) != 0) {
    return FromErrno(errno, fmt::format("chown {}", options.address));
  }
  if (::chmod(options.address.c_str(), kSocketMode) != 0) {
    return FromErrno(errno, fmt::format("chmod {}", options.address));
  }
  return absl::OkStatus();
}

}  // namespace gantry::server
