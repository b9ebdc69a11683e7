// SPDX-License-Identifier: Apache-2.0
#include "shim/task/sync_exec.h"

#include <chrono>

#include "shim/task/kill_session.h"

namespace gantry::shim {
namespace {

// How long the end of a killed process may take.
constexpr Clock::duration kExitPatience = std::chrono::seconds(2);

}  // namespace

void SyncExec::Runs(pid_t pid) {
  pid_ = pid;
  if (stopped_) Kill();
}

void SyncExec::Ended(const Exit& exit) {
  exit_ = exit;
  patience_.Cancel();
  over_.Set();
}

void SyncExec::Stop() {
  if (stopped_ || exit_) return;
  stopped_ = true;
  if (pid_ != 0) Kill();
}

// It has not been reaped, so its pid is its own.
void SyncExec::Kill() {
  patience_.After(kExitPatience);
  KillSession(pid_, cgroup_);
}

}  // namespace gantry::shim
