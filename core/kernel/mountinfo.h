// SPDX-License-Identifier: Apache-2.0
// The mount table as /proc/PID/mountinfo tells it (proc(5)).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::kernel {

struct MountInfo {
  uint64_t id = 0;
  uint64_t parent = 0;
  uint32_t major = 0;
  uint32_t minor = 0;
  std::string root;         // what of the file system is mounted
  std::string mount_point;  // relative to the reading process's root
  std::string options;      // of this mount
  std::string optional;     // propagation fields ("shared:7 master:2"), separated by spaces
  std::string fs_type;
  std::string source;
  std::string super_options;  // of the file system
};

// Escapes ("\040") are undone. EINVAL for a line that is no mountinfo line.
Result<std::vector<MountInfo>> ParseMountInfo(std::string_view text);

// The mounts that the calling thread sees, in the kernel's order: a mount after its parent. With
// many mounts this costs; it is for start, clean-up and statistics, not for every call.
Result<std::vector<MountInfo>> ReadMountInfo();

// Those of `mounts` at or below `path` (absolute and without symlinks), in the given order.
std::vector<MountInfo> MountsAtOrBelow(const std::vector<MountInfo>& mounts, std::string_view path);

}  // namespace gantry::kernel
