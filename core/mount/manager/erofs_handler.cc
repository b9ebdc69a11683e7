// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/erofs_handler.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/loop_device.h"
#include "core/kernel/mount.h"
#include "core/mount/mounting.h"

namespace gantry::mount {
namespace {

constexpr std::string_view kDevice = "device=";
constexpr std::string_view kVerity = "X-containerd.dmverity=";

kernel::Result<void> MountImage(const Mount& mount, const std::string& mount_point) {
  return kernel::Mount({.type = mount.type, .source = mount.source, .options = mount.options},
                       mount_point);
}

// Replaces the mount's files by read-only devices. They detach themselves once the mount is gone;
// `devices` keeps them until it is made.
absl::Status AttachDevices(Mount& mount, std::vector<kernel::LoopDevice>& devices) {
  const auto attach = [&devices](const std::string& file) -> absl::StatusOr<std::string> {
    auto device =
        kernel::AttachLoop(file, {.read_only = true, .direct_io = false, .autoclear = true});
    if (!device) return FailedMount(device.error());
    devices.push_back(std::move(*device));
    return devices.back().path;
  };
  ASSIGN_OR_RETURN(mount.source, attach(mount.source));
  for (std::string& word : mount.options) {
    if (!word.starts_with(kDevice)) continue;
    ASSIGN_OR_RETURN(const std::string path, attach(word.substr(kDevice.size())));
    word = std::string(kDevice) + path;
  }
  return absl::OkStatus();
}

absl::Status MountAnyWay(Mount& mount, const std::string& mount_point) {
  const auto direct = MountImage(mount, mount_point);
  if (direct) return absl::OkStatus();
  if (direct.error().err != ENOTBLK) return FailedMount(direct.error());
  std::vector<kernel::LoopDevice> devices;
  RETURN_IF_ERROR(AttachDevices(mount, devices));
  const auto made = MountImage(mount, mount_point);
  return made ? absl::OkStatus() : FailedMount(made.error());
}

}  // namespace

absl::StatusOr<ActiveMount> ErofsHandler::MountAt(const Context&, const Mount& mount,
                                                  const std::string& mount_point,
                                                  std::span<const ActiveMount>) {
  ActiveMount active{
      .mount = mount, .mount_point = mount_point, .mounted_at = absl::Now(), .data = {}};
  for (const std::string& word : mount.options) {
    if (word.starts_with(kVerity)) return Unimplemented("erofs option {}", word);
  }
  // Whether a loop device is needed is found out here.
  std::erase(active.mount.options, "loop");
  if (::mkdir(mount_point.c_str(), 0700) != 0) return FromErrno(errno, "mkdir " + mount_point);
  RETURN_IF_ERROR(MountAnyWay(active.mount, mount_point));
  return active;
}

absl::Status ErofsHandler::UnmountAt(const Context&, const std::string& mount_point) {
  RETURN_IF_ERROR(UnmountAll(mount_point));
  if (::rmdir(mount_point.c_str()) != 0 && errno != ENOENT) {
    return FromErrno(errno, "remove " + mount_point);
  }
  return absl::OkStatus();
}

}  // namespace gantry::mount
