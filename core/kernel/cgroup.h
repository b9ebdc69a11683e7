// SPDX-License-Identifier: Apache-2.0
// Where a process stands in the cgroup trees: cgroups(7).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::kernel {

inline constexpr char kCgroupRoot[] = "/sys/fs/cgroup";

enum class CgroupMode {
  kLegacy,   // version 1 alone
  kHybrid,   // controllers on version 1, and a version 2 tree without them beside
  kUnified,  // version 2 alone
};

// What is mounted at `root`. ENODEV when that is no cgroup file system at all.
Result<CgroupMode> DetectCgroupMode(const std::string& root = kCgroupRoot);

// The roots of the trees that are mounted below `root`, those without controllers too, in which a
// runtime makes cgroups all the same. Empty when there are none.
std::vector<std::string> CgroupTrees(const std::string& root = kCgroupRoot);

// A line of /proc/PID/cgroup.
struct CgroupMembership {
  uint32_t hierarchy = 0;                // 0 is version 2
  std::vector<std::string> controllers;  // none for version 2; "name=systemd" for a named tree
  std::string path;                      // below the root of its tree, starting with "/"
};

Result<std::vector<CgroupMembership>> ParseProcCgroup(std::string_view text);

// The memberships of a process; ENOENT or ESRCH once it is gone.
Result<std::vector<CgroupMembership>> CgroupsOf(pid_t pid);

// The path within the tree of `controller`; an empty name means version 2.
std::optional<std::string> CgroupPathOf(const std::vector<CgroupMembership>& memberships,
                                        std::string_view controller);

// The directory of a cgroup that CgroupsOf() told: in unified mode whatever the controller,
// otherwise that of `controller` on version 1. Nothing when there is none.
std::optional<std::string> CgroupDirectory(CgroupMode mode,
                                           const std::vector<CgroupMembership>& memberships,
                                           std::string_view controller);

// Puts this process into the cgroup that it is in. The kernel makes ready for such changes: the
// first after a quiet time waits for a grace period of RCU, ten milliseconds or more, those that
// follow within about that time do not. So who expects another soon begins this one beforehand,
// where it may wait. On trees mounted with `favordynmods` (cgroup-v2.rst) nothing waits.
Result<void> RejoinOwnCgroup();

// The directory of a process's cgroup: in unified mode whatever the controller, otherwise that of
// `controller` on version 1. ENOENT when it is in none.
Result<std::string> CgroupDirectoryOf(pid_t pid, std::string_view controller);

}  // namespace gantry::kernel
