// SPDX-License-Identifier: Apache-2.0
#include "shim/cgroup/location.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "core/kernel/file.h"
#include "shim/cgroup/metrics_v1.h"
#include "shim/cgroup/metrics_v2.h"
#include "shim/cgroup/process_list.h"
#include "shim/cgroup/stat_file.h"
#include "shim/messages/codec.h"

namespace gantry::shim::cgroup {
namespace {

constexpr int kKillRounds = 5;

// Dead, though perhaps not reaped. Version 1 shows such a process in the root.
bool HasEnded(pid_t pid, const Roots& roots) {
  const auto stat = ReadStatFile(roots.proc + "/" + std::to_string(pid) + "/stat");
  if (!stat) return true;
  const size_t state = stat->rfind(") ");  // the name before it may hold anything
  return state != std::string::npos && stat->find_first_of("ZX", state + 2) == state + 2;
}

bool IsWithin(const std::string& path, const std::string& ancestor) {
  return path == ancestor || path.starts_with(ancestor + "/");
}

kernel::Result<void> Kill(const std::vector<pid_t>& pids) {
  kernel::Result<void> result;
  for (const pid_t pid : pids) {
    if (::kill(pid, SIGKILL) != 0 && errno != ESRCH) {
      result = kernel::LastError("kill " + std::to_string(pid));
    }
  }
  return result;
}

}  // namespace

kernel::Result<Location> Location::Of(pid_t pid, const Roots& roots) {
  auto hierarchies = HierarchiesOf(std::to_string(pid), roots);
  if (!hierarchies) return std::move(hierarchies).error();
  // Looked at afterwards: one that lives now lived when its cgroups were read.
  if (HasEnded(pid, roots)) {
    return kernel::Error{ESRCH, "find the cgroup of process " + std::to_string(pid)};
  }
  return Location(*std::move(hierarchies), IsUnified(roots), roots);
}

const Hierarchy* Location::HierarchyOf(std::string_view controller) const {
  if (unified_) return &hierarchies_.front();
  for (const Hierarchy& hierarchy : hierarchies_) {
    const auto& names = hierarchy.controllers;
    if (std::find(names.begin(), names.end(), controller) != names.end()) return &hierarchy;
  }
  return nullptr;
}

std::string Location::DirectoryOf(std::string_view controller) const {
  const Hierarchy* hierarchy = HierarchyOf(controller);
  return hierarchy != nullptr ? hierarchy->directory() : std::string();
}

const Hierarchy& Location::processes() const {
  if (const Hierarchy* pids = HierarchyOf("pids")) return *pids;
  if (const Hierarchy* memory = HierarchyOf("memory")) return *memory;
  return hierarchies_.front();
}

bool Location::Exists() const { return ::access(processes().directory().c_str(), F_OK) == 0; }

kernel::Result<std::vector<pid_t>> Location::Pids() const {
  return ListProcesses(processes().directory());
}

kernel::Result<void> Location::MayKill() const {
  const std::string& path = processes().path;
  if (path == "/") return kernel::Error{EINVAL, "kill all in the root cgroup"};
  auto own = HierarchiesOf("self", roots_);
  if (!own) return std::move(own).error();
  const bool is_ours = std::any_of(own->begin(), own->end(), [&](const Hierarchy& hierarchy) {
    return hierarchy.root == processes().root && IsWithin(hierarchy.path, path);
  });
  if (is_ours) return kernel::Error{EINVAL, "kill all in our own cgroup " + path};
  return {};
}

kernel::Result<void> Location::KillAll() const {
  if (auto may = MayKill(); !may) return may;
  const std::string directory = processes().directory();
  if (unified_ && kernel::WriteControlFile(directory + "/cgroup.kill", "1")) return {};
  // Version 1, Linux before 5.14, or gone. A round finds what was forked before the last one.
  for (int round = 0; round < kKillRounds; ++round) {
    const auto pids = Pids();
    if (!pids) return pids.error();
    if (pids->empty()) break;
    if (auto killed = Kill(*pids); !killed) return killed;
  }
  return {};
}

messages::Any Location::Metrics() const {
  auto sizes = HugePageSizes(roots_.huge_pages);
  if (unified_) return messages::Pack(ReadMetricsV2(DirectoryOf(""), sizes));
  const SourcesV1 sources{
      .directory_of = [this](std::string_view controller) { return DirectoryOf(controller); },
      .huge_page_sizes = std::move(sizes),
      .partitions = roots_.proc + "/partitions"};
  return messages::Pack(ReadMetricsV1(sources));
}

}  // namespace gantry::shim::cgroup
