// SPDX-License-Identifier: Apache-2.0
#include "shim/cgroup/removal.h"

#include <unistd.h>

#include <cerrno>
#include <vector>

#include "core/kernel/cgroup.h"
#include "shim/cgroup/hierarchy.h"

namespace gantry::shim::cgroup {
namespace {

bool HasParent(const std::string& path) {
  return ("/" + path + "/").find("/../") != std::string::npos;
}

}  // namespace

bool RemoveAt(const std::string& path, const Roots& roots) {
  if (!path.starts_with('/') || path.find_first_not_of('/') == std::string::npos || HasParent(path))
    return true;
  const std::vector<std::string> trees =
      IsUnified(roots) ? std::vector{roots.cgroup} : kernel::CgroupTrees(roots.cgroup);
  bool removed = true;
  for (const std::string& tree : trees) {
    if (::rmdir((tree + path).c_str()) != 0 && errno == EBUSY) removed = false;
  }
  return removed;
}

}  // namespace gantry::shim::cgroup
