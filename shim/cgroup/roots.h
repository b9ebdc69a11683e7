// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace gantry::shim::cgroup {

// Where the kernel shows what this room reads; tests have trees of their own.
struct Roots {
  std::string proc = "/proc";
  std::string cgroup = "/sys/fs/cgroup";
  std::string huge_pages = "/sys/kernel/mm/hugepages";
  std::optional<bool> unified;  // absent: whether `cgroup` itself is mounted as version 2
};

}  // namespace gantry::shim::cgroup
