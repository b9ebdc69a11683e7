// SPDX-License-Identifier: Apache-2.0
#include "core/process/limits.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/file.h"

namespace gantry::process {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kCgroupMode = 0755;
constexpr size_t kMaxSettingBytes = 4096;

// The roots of the hierarchies below `mount`: itself where there is one, else one for each set of
// controllers.
absl::StatusOr<std::vector<fs::path>> Hierarchies(const std::string& mount) {
  if (fs::exists(fs::path(mount) / "cgroup.procs")) return std::vector<fs::path>{mount};
  std::vector<fs::path> roots;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(mount, error)) {
    // Sets of controllers have links by other names.
    if (!entry.is_symlink() && fs::exists(entry.path() / "cgroup.procs")) {
      roots.push_back(entry.path());
    }
  }
  if (error) return FromErrno(error.value(), fmt::format("list {}", mount));
  return roots;
}

// A new cpuset of version 1 has no processors and takes nobody before it has some.
absl::Status InheritCpuset(const fs::path& cgroup) {
  for (const char* setting : {"cpuset.cpus", "cpuset.mems"}) {
    if (!fs::exists(cgroup / setting)) continue;
    ASSIGN_OR_RETURN(const std::string own,
                     ToStatusOr(kernel::ReadFile(cgroup / setting, kMaxSettingBytes)));
    if (own.find_first_not_of("\n") != std::string::npos) continue;
    ASSIGN_OR_RETURN(
        const std::string inherited,
        ToStatusOr(kernel::ReadFile(cgroup.parent_path() / setting, kMaxSettingBytes)));
    RETURN_IF_ERROR(ToStatus(kernel::WriteControlFile(cgroup / setting, inherited)));
  }
  return absl::OkStatus();
}

absl::Status Join(const fs::path& root, const fs::path& path, bool version1) {
  fs::path cgroup = root;
  for (const fs::path& part : path.relative_path()) {
    cgroup /= part;
    RETURN_IF_ERROR(ToStatus(kernel::MakeDirectories(cgroup, kCgroupMode)));
    if (version1) RETURN_IF_ERROR(InheritCpuset(cgroup));
  }
  return ToStatus(kernel::WriteControlFile(cgroup / "cgroup.procs", fmt::to_string(::getpid())));
}

}  // namespace

absl::Status SetOomScore(int score) {
  return ToStatus(kernel::WriteControlFile("/proc/self/oom_score_adj", fmt::to_string(score)));
}

absl::Status JoinCgroup(const std::string& path, const std::string& mount) {
  const fs::path clean = fs::path("/" + path).lexically_normal();
  if (clean == "/") return InvalidArgument("cgroup path \"{}\" names no cgroup", path);
  ASSIGN_OR_RETURN(const std::vector<fs::path> roots, Hierarchies(mount));
  if (roots.empty()) return FailedPrecondition("no cgroups are mounted at {}", mount);
  const bool version1 = roots[0] != mount;
  for (const fs::path& root : roots) {
    RETURN_IF_ERROR(Annotate(Join(root, clean, version1), fmt::format("join cgroup {}", path)));
  }
  return absl::OkStatus();
}

absl::StatusOr<rlimit> RaiseOpenFiles() {
  rlimit before{};
  if (::getrlimit(RLIMIT_NOFILE, &before) != 0) return FromErrno(errno, "read the file limit");
  const rlimit raised{.rlim_cur = before.rlim_max, .rlim_max = before.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) return FromErrno(errno, "raise the file limit");
  return before;
}

}  // namespace gantry::process
