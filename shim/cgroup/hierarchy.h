// SPDX-License-Identifier: Apache-2.0
// The cgroup trees of the machine, and where a process stands in each: cgroups(7).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/kernel/result.h"
#include "shim/cgroup/roots.h"

namespace gantry::shim::cgroup {

struct Hierarchy {
  std::vector<std::string> controllers;  // none on version 2, where one tree has them all
  std::string root;                      // its mount point
  std::string path;                      // of the cgroup below it, starting with '/'

  std::string directory() const { return path == "/" ? root : root + path; }
};

// Version 2 counts only when it has all controllers; beside version 1 it has none of use.
bool IsUnified(const Roots& roots);

// The cgroups of a process, `pid` being a number or "self": on version 2 one, on version 1 one for
// each mounted hierarchy with controllers. ENOENT when there are none, or no such process; EINVAL
// when one lies outside our cgroup namespace.
kernel::Result<std::vector<Hierarchy>> HierarchiesOf(const std::string& pid, const Roots& roots);

}  // namespace gantry::shim::cgroup
