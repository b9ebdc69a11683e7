// SPDX-License-Identifier: Apache-2.0
#include "core/mount/temp_mounts.h"

#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "core/kernel/mount.h"
#include "core/log/log.h"
#include "core/mount/mounting.h"

namespace gantry::mount {
namespace {

// Left mounts may be in use by what outlived the daemon, so they are taken away lazily.
void CleanUp(const std::filesystem::path& directory) {
  const auto unmounted = kernel::UnmountTree(directory.string(), MNT_DETACH);
  if (!unmounted) {
    log::Warn("temporary mounts of an earlier run stay", {{"error", ToStatus(unmounted)}});
    return;
  }
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (::rmdir(entry->path().c_str()) != 0) {
      log::Warn("directory of a temporary mount stays",
                {{"path", entry->path().string()}, {"error", FromErrno(errno, "rmdir")}});
    }
  }
}

}  // namespace

ScopedTempMount::~ScopedTempMount() {
  if (const absl::Status status = Unmount(); !status.ok()) {
    log::Warn("temporary mount stays", {{"path", path_}, {"error", status}});
  }
}

absl::Status ScopedTempMount::Unmount() {
  if (path_.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(UnmountAll(path_));
  // rmdir alone: should something be mounted there after all, its data is not ours to delete.
  if (::rmdir(path_.c_str()) != 0) return FromErrno(errno, "remove " + path_);
  path_.clear();
  return absl::OkStatus();
}

absl::StatusOr<TempMounts> TempMounts::Open(std::filesystem::path directory) {
  RETURN_IF_ERROR(ToStatus(kernel::MakeDirectories(directory.string(), 0700)));
  CleanUp(directory);
  return TempMounts(std::move(directory));
}

absl::StatusOr<ScopedTempMount> TempMounts::Make(const Mounts& mounts) const {
  std::string path = (directory_ / "gantry-mount-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) return FromErrno(errno, "make " + path);
  const absl::Status mounted = MountAll(WithoutVolatile(mounts), path);
  if (!mounted.ok()) {
    ::rmdir(path.c_str());
    return mounted;
  }
  return ScopedTempMount(std::move(path));
}

absl::StatusOr<ScopedTempMount> TempMounts::MakeReadOnly(const Mounts& mounts) const {
  return Make(ReadOnly(mounts));
}

absl::Status TempMounts::With(const Mounts& mounts,
                              absl::FunctionRef<absl::Status(const std::string& path)> body) const {
  ASSIGN_OR_RETURN(ScopedTempMount mount, Make(mounts));
  const absl::Status result = body(mount.path());
  const absl::Status unmounted = mount.Unmount();
  if (result.ok()) return unmounted;
  if (unmounted.ok()) return result;
  return {result.code(), fmt::format("{}; and then: {}", result.ToString(), unmounted.ToString())};
}

}  // namespace gantry::mount
