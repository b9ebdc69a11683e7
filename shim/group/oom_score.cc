// SPDX-License-Identifier: Apache-2.0
#include "shim/group/oom_score.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "core/kernel/file.h"
#include "shim/cgroup/placement.h"

namespace gantry::shim {
namespace {

constexpr int kMaxScore = 1000;
constexpr size_t kMaxFileBytes = 256;

// Root of the machine, not of a user namespace.
bool IsPrivileged() {
  constexpr std::string_view kWholeRange = "4294967295\n";
  const auto map = kernel::ReadFile("/proc/self/uid_map", kMaxFileBytes);
  return ::geteuid() == 0 && (!map || map->ends_with(kWholeRange));
}

}  // namespace

kernel::Result<void> SetOomScoreAbove(pid_t pid, pid_t other) {
  const auto score = cgroup::OomScoreAdj(other);
  if (!score) {
    if (score.error().err == ENOENT || score.error().err == ESRCH) return {};
    return score.error();
  }
  auto written = cgroup::SetOomScoreAdj(pid, std::min(*score + 1, kMaxScore));
  if (written) return written;
  const int err = written.error().err;
  if ((err == EPERM || err == EACCES) && !IsPrivileged()) return {};
  return written;
}

}  // namespace gantry::shim
