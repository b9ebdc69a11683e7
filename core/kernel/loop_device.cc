// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <time.h>

#include <algorithm>

#include "core/kernel/file.h"

namespace gantry::kernel {
namespace {

// Others may take the free device between our question and our claim.
constexpr int kMaxRaces = 100;

void PauseBriefly(int attempt) {
  const timespec pause{.tv_sec = 0, .tv_nsec = 100'000L * std::min(attempt, 50)};
  ::nanosleep(&pause, nullptr);
}

loop_config MakeConfig(int backing, const std::string& file, const LoopOptions& options) {
  loop_config config{};
  config.fd = static_cast<__u32>(backing);
  if (options.read_only) config.info.lo_flags |= LO_FLAGS_READ_ONLY;
  if (options.direct_io) config.info.lo_flags |= LO_FLAGS_DIRECT_IO;
  if (options.autoclear) config.info.lo_flags |= LO_FLAGS_AUTOCLEAR;
  // For listings alone; cut to the field, with a NUL left.
  file.copy(reinterpret_cast<char*>(config.info.lo_file_name), LO_NAME_SIZE - 1);
  return config;
}

}  // namespace

Result<LoopDevice> AttachLoop(const std::string& file, const LoopOptions& options) {
  const int access = options.read_only ? O_RDONLY : O_RDWR;
  auto backing = Open(file, access);
  if (!backing) return backing.error();
  auto control = Open("/dev/loop-control", O_RDWR);
  if (!control) return control.error();
  const loop_config config = MakeConfig(backing->get(), file, options);
  for (int attempt = 1; attempt <= kMaxRaces; ++attempt) {
    const int number = ::ioctl(control->get(), LOOP_CTL_GET_FREE);
    if (number < 0) return LastError("find a free loop device");
    LoopDevice device;
    device.path = "/dev/loop" + std::to_string(number);
    auto fd = Open(device.path, access);
    if (fd) {
      if (::ioctl(fd->get(), LOOP_CONFIGURE, &config) == 0) {
        device.fd = std::move(*fd);
        return device;
      }
      if (errno != EBUSY && errno != EAGAIN) {
        return LastError("attach " + file + " to " + device.path);
      }
    } else if (fd.error().err != EBUSY && fd.error().err != ENXIO) {
      return fd.error();
    }
    PauseBriefly(attempt);
  }
  return Error{EBUSY, "find a free loop device for " + file};
}

Result<void> SetAutoclear(int loop, bool autoclear) {
  loop_info64 info{};
  if (::ioctl(loop, LOOP_GET_STATUS64, &info) != 0) return LastError("read a loop device");
  if (autoclear) {
    info.lo_flags |= LO_FLAGS_AUTOCLEAR;
  } else {
    info.lo_flags &= ~static_cast<__u32>(LO_FLAGS_AUTOCLEAR);
  }
  if (::ioctl(loop, LOOP_SET_STATUS64, &info) != 0) return LastError("set up a loop device");
  return {};
}

Result<void> DetachLoop(const std::string& device) {
  auto fd = Open(device, O_RDONLY);
  if (!fd) return fd.error();
  if (::ioctl(fd->get(), LOOP_CLR_FD) != 0 && errno != ENXIO) return LastError("detach " + device);
  return {};
}

}  // namespace gantry::kernel
