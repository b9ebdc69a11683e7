// SPDX-License-Identifier: Apache-2.0
#include "shim/cgroup/placement.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "core/kernel/file.h"
#include "shim/cgroup/hierarchy.h"
#include "shim/cgroup/stat_file.h"

namespace gantry::shim::cgroup {
namespace {

constexpr size_t kMaxScoreFile = 64;

std::string ScoreFile(pid_t pid) { return "/proc/" + std::to_string(pid) + "/oom_score_adj"; }

// The path in one form, with a '/' in front of each part; empty when a part is "..".
std::string Normalised(const std::string& path) {
  std::string normalised;
  for (const std::string_view part : Split(path, "/")) {
    if (part == "..") return {};
    if (part != ".") normalised.append("/").append(part);
  }
  return normalised;
}

}  // namespace

kernel::Result<void> JoinCgroup(pid_t pid, const std::string& path, const Roots& roots) {
  const std::string normalised = Normalised(path);
  if (normalised.empty()) return kernel::Error{EINVAL, "join cgroup '" + path + "'"};
  auto hierarchies = HierarchiesOf("self", roots);
  if (!hierarchies) return std::move(hierarchies).error();
  bool joined = false;
  for (const Hierarchy& hierarchy : *hierarchies) {
    const std::string file = hierarchy.root + normalised + "/cgroup.procs";
    auto written = kernel::WriteControlFile(file, std::to_string(pid));
    if (!written && written.error().err != ENOENT) return written;
    joined = joined || written.ok();
  }
  if (!joined) return kernel::Error{ENOENT, "join cgroup " + path};
  return {};
}

kernel::Result<int> OomScoreAdj(pid_t pid) {
  const auto text = kernel::ReadFile(ScoreFile(pid), kMaxScoreFile);
  if (!text) return text.error();
  int value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc()) return kernel::Error{EINVAL, "read " + ScoreFile(pid)};
  return value;
}

kernel::Result<void> SetOomScoreAdj(pid_t pid, int value) {
  return kernel::WriteControlFile(ScoreFile(pid), std::to_string(value));
}

void EnableControllers(const Location& location) {
  if (!location.unified()) return;
  const Hierarchy& cgroup = location.processes();
  const auto controllers = ReadStatFile(cgroup.root + "/cgroup.controllers");
  if (!controllers) return;
  // From the root down: a cgroup can only hand on what it got. Each by itself, for the kernel takes
  // all of a line or nothing.
  for (size_t end = 0; end != std::string::npos; end = cgroup.path.find('/', end + 1)) {
    const std::string file = cgroup.root + cgroup.path.substr(0, end) + "/cgroup.subtree_control";
    for (const std::string_view controller : Split(*controllers, " \n")) {
      kernel::WriteControlFile(file, "+" + std::string(controller)).Ignore();  // best effort
    }
  }
}

}  // namespace gantry::shim::cgroup
