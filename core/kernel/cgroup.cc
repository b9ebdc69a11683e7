// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include "core/kernel/file.h"

namespace gantry::kernel {
namespace {

constexpr size_t kMaxProcFile = 1UL << 20;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

bool IsFileSystem(const std::string& path, long magic) {
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == magic;
}

std::vector<std::string> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

bool ParseLine(std::string_view line, CgroupMembership& membership) {
  const size_t first = line.find(':');
  if (first == std::string_view::npos) return false;
  // The path may hold colons; the controllers do not.
  const size_t second = line.find(':', first + 1);
  if (second == std::string_view::npos) return false;
  const auto [end, error] = std::from_chars(line.data(), line.data() + first, membership.hierarchy);
  if (error != std::errc() || end != line.data() + first) return false;
  membership.controllers = SplitWords(line.substr(first + 1, second - first - 1));
  membership.path = line.substr(second + 1);
  return membership.path.starts_with('/');
}

}  // namespace

Result<CgroupMode> DetectCgroupMode(const std::string& root) {
  if (IsFileSystem(root, CGROUP2_SUPER_MAGIC)) return CgroupMode::kUnified;
  if (IsFileSystem(root + "/unified", CGROUP2_SUPER_MAGIC)) return CgroupMode::kHybrid;
  if (IsFileSystem(root + "/memory", CGROUP_SUPER_MAGIC) ||
      IsFileSystem(root + "/cpu", CGROUP_SUPER_MAGIC)) {
    return CgroupMode::kLegacy;
  }
  return Error{ENODEV, "find cgroups at " + root};
}

std::vector<std::string> CgroupTrees(const std::string& root) {
  if (IsFileSystem(root, CGROUP2_SUPER_MAGIC)) return {root};
  std::vector<std::string> trees;
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(root.c_str()));
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    // A link names a tree by one of its controllers.
    if (entry->d_type == DT_DIR && name != "." && name != "..")
      trees.push_back(root + "/" + entry->d_name);
  }
  return trees;
}

Result<std::vector<CgroupMembership>> ParseProcCgroup(std::string_view text) {
  std::vector<CgroupMembership> memberships;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    CgroupMembership membership;
    if (!ParseLine(line, membership)) return Error{EINVAL, "cgroup line " + std::string(line)};
    memberships.push_back(std::move(membership));
  }
  return memberships;
}

Result<std::vector<CgroupMembership>> CgroupsOf(pid_t pid) {
  auto text = ReadFile("/proc/" + std::to_string(pid) + "/cgroup", kMaxProcFile);
  if (!text) return text.error();
  return ParseProcCgroup(*text);
}

std::optional<std::string> CgroupPathOf(const std::vector<CgroupMembership>& memberships,
                                        std::string_view controller) {
  for (const CgroupMembership& membership : memberships) {
    const auto& names = membership.controllers;
    const bool found = controller.empty()
                           ? membership.hierarchy == 0
                           : std::find(names.begin(), names.end(), controller) != names.end();
    if (found) return membership.path;
  }
  return std::nullopt;
}

std::optional<std::string> CgroupDirectory(CgroupMode mode,
                                           const std::vector<CgroupMembership>& memberships,
                                           std::string_view controller) {
  const bool unified = mode == CgroupMode::kUnified;
  const auto path = CgroupPathOf(memberships, unified ? std::string_view() : controller);
  if (!path) return std::nullopt;
  const std::string root = kCgroupRoot;
  return unified ? root + *path : root + "/" + std::string(controller) + *path;
}

Result<void> RejoinOwnCgroup() {
  const auto mode = DetectCgroupMode();
  if (!mode) return mode.error();
  const auto memberships = CgroupsOf(::getpid());
  if (!memberships) return memberships.error();
  Error error{ENOENT, "find a cgroup of our own"};
  constexpr std::array<std::string_view, 4> kControllers = {"pids", "cpu", "memory", ""};
  for (const std::string_view controller : kControllers) {
    const auto directory = CgroupDirectory(*mode, *memberships, controller);
    if (!directory) continue;
    const std::string path = *directory + "/cgroup.procs";
    const auto processes = Open(path, O_WRONLY | O_CLOEXEC);
    if (processes) return WriteAll(processes->get(), "0", path);  // whoever writes
    error = processes.error();
  }
  return error;
}

Result<std::string> CgroupDirectoryOf(pid_t pid, std::string_view controller) {
  auto mode = DetectCgroupMode();
  if (!mode) return mode.error();
  auto memberships = CgroupsOf(pid);
  if (!memberships) return memberships.error();
  auto directory = CgroupDirectory(*mode, *memberships, controller);
  if (!directory) return Error{ENOENT, "find a cgroup of process " + std::to_string(pid)};
  return *std::move(directory);
}

}  // namespace gantry::kernel
