// SPDX-License-Identifier: Apache-2.0
#include "shim/cgroup/hierarchy.h"

#include <unistd.h>

#include <utility>

#include "core/kernel/cgroup.h"
#include "core/kernel/file.h"

namespace gantry::shim::cgroup {
namespace {

constexpr size_t kMaxProcFile = 1UL << 20;

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool IsNamed(const kernel::CgroupMembership& membership) {
  return membership.controllers.size() == 1 && membership.controllers[0].starts_with("name=");
}

// Mounted under the names of all its controllers, with a symlink for each, or under one name.
std::string MountPoint(const Roots& roots, const std::vector<std::string>& controllers) {
  std::string all;
  for (const std::string& controller : controllers) {
    const std::string one = roots.cgroup + "/" + controller;
    if (Exists(one)) return one;
    all += (all.empty() ? "" : ",") + controller;
  }
  const std::string joined = roots.cgroup + "/" + all;
  return Exists(joined) ? joined : std::string();
}

}  // namespace

bool IsUnified(const Roots& roots) {
  if (roots.unified) return *roots.unified;
  const auto mode = kernel::DetectCgroupMode(roots.cgroup);
  return mode && *mode == kernel::CgroupMode::kUnified;
}

kernel::Result<std::vector<Hierarchy>> HierarchiesOf(const std::string& pid, const Roots& roots) {
  auto text = kernel::ReadFile(roots.proc + "/" + pid + "/cgroup", kMaxProcFile);
  if (!text) return std::move(text).error();
  auto memberships = kernel::ParseProcCgroup(*text);
  if (!memberships) return std::move(memberships).error();
  const bool unified = IsUnified(roots);
  std::vector<Hierarchy> found;
  for (kernel::CgroupMembership& membership : *memberships) {
    const bool second_version = membership.controllers.empty();
    if (second_version != unified || IsNamed(membership)) continue;
    std::string root = unified ? roots.cgroup : MountPoint(roots, membership.controllers);
    if (root.empty()) continue;
    if (membership.path.starts_with("/..")) {
      return kernel::Error{EINVAL, "cgroup " + membership.path + " outside the namespace"};
    }
    found.push_back({.controllers = std::move(membership.controllers),
                     .root = std::move(root),
                     .path = std::move(membership.path)});
  }
  if (found.empty()) return kernel::Error{ENOENT, "find a cgroup of process " + pid};
  return found;
}

}  // namespace gantry::shim::cgroup
