// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/mutex.h"
#include "core/kernel/subprocess.h"
#include "core/runtime/loop.h"

namespace gantry::runtime {

// A shim's server that is a child of ours: reaped when it ends, whoever still holds this. It lives
// on when this process does not.
//
// Threads: all methods from any thread. The loop outlives it.
class ShimProcess : public std::enable_shared_from_this<ShimProcess> {
 public:
  using Told = absl::AnyInvocable<void(std::optional<kernel::ExitStatus>)>;

  static std::shared_ptr<ShimProcess> Watch(Loop& loop, kernel::Subprocess process);
  ShimProcess(const ShimProcess&) = delete;

  // Calls `told` with how it ended, or with nothing if it still runs after `patience`.
  void WhenEnded(absl::Duration patience, Told told);

 private:
  ShimProcess(Loop& loop, kernel::UniqueFd pidfd) : loop_(loop), pidfd_(std::move(pidfd)) {}
  void Begin();
  void Reap();
  void GiveUp(uint64_t waiter);

  Loop& loop_;
  const kernel::UniqueFd pidfd_;
  Loop::WatchId watch_ = 0;  // the loop's thread alone
  base::Mutex mutex_;
  std::optional<kernel::ExitStatus> end_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_waiter_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Told> waiters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::runtime
