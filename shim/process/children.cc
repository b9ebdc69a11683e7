// SPDX-License-Identifier: Apache-2.0
#include "shim/process/children.h"

#include <sys/wait.h>

#include <cerrno>
#include <string>

namespace gantry::shim {
namespace {

kernel::ExitStatus StatusOf(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return {.code = info.si_status};
  return {.signal = info.si_status};
}

int WaitFor(idtype_t type, id_t id, siginfo_t& info, int options) {
  int result;
  do {
    info = {};
    result = ::waitid(type, id, &info, options);
  } while (result != 0 && errno == EINTR);
  return result;
}

}  // namespace

Co<Exit> Children::Exited(pid_t pid) {
  Awaited awaited(loop_);
  awaited_[pid] = &awaited;
  co_await awaited.ended.Wait();
  co_return awaited.exit;
}

void Children::Reap() {
  siginfo_t info;
  // One child is looked at before it is reaped: until then its pid is nobody else's.
  while (WaitFor(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
    const pid_t pid = info.si_pid;
    // One that stays hides the rest from who asks for any child.
    if (!awaited_.contains(pid) && others_.keep && others_.keep(pid)) return ReapAwaited();
    ReapOne(pid);
  }
}

void Children::ReapAwaited() {
  std::vector<pid_t> pids = others_.awaited();
  for (const auto& [pid, awaited] : awaited_) pids.push_back(pid);
  for (const pid_t pid : pids) ReapOne(pid);
}

void Children::ReapOne(pid_t pid) {
  const auto taken = Take(pid);
  if (!taken || !*taken) return;
  const Exit& exit = **taken;
  const auto found = awaited_.find(pid);
  if (found == awaited_.end()) return others_.ended(exit);
  found->second->exit = exit;
  found->second->ended.Set();
  awaited_.erase(found);
}

kernel::Result<std::optional<Exit>> Children::Take(pid_t pid) {
  siginfo_t info;
  if (WaitFor(P_PID, static_cast<id_t>(pid), info, WEXITED | WNOHANG) != 0)
    return kernel::LastError("wait for process " + std::to_string(pid));
  if (info.si_pid != pid) return std::optional<Exit>();
  return std::optional<Exit>(
      {.pid = pid, .status = StatusOf(info), .at = std::chrono::system_clock::now()});
}

}  // namespace gantry::shim
