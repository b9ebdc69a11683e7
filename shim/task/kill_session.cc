// SPDX-License-Identifier: Apache-2.0
#include "shim/task/kill_session.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <set>
#include <vector>

#include "core/kernel/unique_fd.h"

namespace gantry::shim {
namespace {

// Each finds what the one before has missed because it was being forked.
constexpr int kMaxPasses = 16;

// Looked at through a handle, so that no later process with the same pid is killed.
void KillIfIn(pid_t session, pid_t pid) {
  const kernel::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (process && ::getsid(pid) == session)
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
}

}  // namespace

void KillSession(pid_t child, const std::optional<cgroup::Location>& cgroup) {
  const pid_t session = ::getsid(child);
  std::set<pid_t> seen;
  for (int pass = 0; session > 0 && session != ::getsid(0) && cgroup && pass < kMaxPasses; ++pass) {
    const auto pids = cgroup->Pids();
    const size_t before = seen.size();
    for (const pid_t pid : pids ? *pids : std::vector<pid_t>()) {
      if (seen.insert(pid).second) KillIfIn(session, pid);
    }
    if (seen.size() == before) break;
  }
  ::kill(child, SIGKILL);
}

}  // namespace gantry::shim
