// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/loop_handler.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/loop_device.h"
#include "core/mount/mounting.h"

namespace gantry::mount {
namespace {

bool HasOption(const Mount& mount, std::string_view word) {
  return std::find(mount.options.begin(), mount.options.end(), word) != mount.options.end();
}

}  // namespace

absl::StatusOr<ActiveMount> LoopHandler::MountAt(const Context&, const Mount& mount,
                                                 const std::string& mount_point,
                                                 std::span<const ActiveMount>) {
  // Autoclear until the link is there: should we die before, the device goes with us.
  auto device = kernel::AttachLoop(mount.source, {.read_only = HasOption(mount, "ro"),
                                                  .direct_io = HasOption(mount, "direct-io"),
                                                  .autoclear = true});
  if (!device) return FailedMount(device.error());
  if (::symlink(device->path.c_str(), mount_point.c_str()) != 0) {
    return FromErrno(errno, "link " + mount_point);
  }
  if (const auto kept = kernel::SetAutoclear(device->fd.get(), false); !kept) {
    ::unlink(mount_point.c_str());
    return ToStatus(kept);
  }
  return ActiveMount{
      .mount = mount, .mount_point = mount_point, .mounted_at = absl::Now(), .data = {}};
}

absl::Status LoopHandler::UnmountAt(const Context&, const std::string& mount_point) {
  std::error_code error;
  const auto device = std::filesystem::read_symlink(mount_point, error);
  if (error == std::errc::no_such_file_or_directory) return absl::OkStatus();
  if (error) return FromErrno(error.value(), "read link " + mount_point);
  // Detached before the link goes: the other way round, a crash between them would lose the device.
  RETURN_IF_ERROR(ToStatus(kernel::DetachLoop(device.string())));
  if (::unlink(mount_point.c_str()) != 0) return FromErrno(errno, "remove " + mount_point);
  return absl::OkStatus();
}

}  // namespace gantry::mount
