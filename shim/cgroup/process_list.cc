// SPDX-License-Identifier: Apache-2.0
#include "shim/cgroup/process_list.h"

#include <fcntl.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/tree_walk.h"
#include "shim/cgroup/stat_file.h"

namespace gantry::shim::cgroup {
namespace {

constexpr size_t kMaxProcsFile = 64UL << 20;  // what the kernel's four million processes fit in

bool IsGone(int err) { return err == ENOENT || err == ENODEV; }

class Collector : public kernel::TreeVisitor {
 public:
  kernel::Result<void> VisitFile(int /*dir*/, const std::string& /*name*/) override { return {}; }
  kernel::Result<void> LeaveDirectory(int /*parent*/, const std::string& /*name*/) override {
    return {};
  }

  kernel::Result<void> EnterDirectory(int self, const std::string& name) override {
    const auto text = Read(self, name);
    // A threaded cgroup has no list; its processes stand in that of the domain above.
    if (!text && (IsGone(text.error().err) || text.error().err == EOPNOTSUPP)) return {};
    if (!text) return text.error();
    for (const std::string_view line : Split(*text, "\n")) {
      const uint64_t pid = NumberOr0(line);
      if (pid == 0 || pid > std::numeric_limits<pid_t>::max()) continue;
      pids_.push_back(static_cast<pid_t>(pid));
    }
    return {};
  }

  std::vector<pid_t> Take() {
    std::sort(pids_.begin(), pids_.end());
    pids_.erase(std::unique(pids_.begin(), pids_.end()), pids_.end());
    return std::move(pids_);
  }

 private:
  static kernel::Result<std::string> Read(int cgroup, const std::string& name) {
    auto file = kernel::OpenAt(cgroup, "cgroup.procs", O_RDONLY);
    if (!file) return std::move(file).error();
    return kernel::ReadAll(file->get(), kMaxProcsFile, "cgroup.procs of " + name);
  }

  std::vector<pid_t> pids_;
};

}  // namespace

kernel::Result<std::vector<pid_t>> ListProcesses(const std::string& directory) {
  Collector collector;
  auto root = kernel::Open(directory, O_RDONLY | O_DIRECTORY);
  if (!root && !IsGone(root.error().err)) return std::move(root).error();
  if (root) {
    auto walked = kernel::WalkTree(*std::move(root), false, collector);
    if (!walked && !IsGone(walked.error().err)) return std::move(walked).error();
  }
  return collector.Take();
}

}  // namespace gantry::shim::cgroup
