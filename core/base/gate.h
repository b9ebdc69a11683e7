// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "core/base/mutex.h"

namespace gantry::base {

// Counts work under way, so that shutdown can refuse new work and wait for the rest.
//
// Threads: all methods from any thread. The gate outlives every pass.
class Gate {
 public:
  // Holding a pass keeps Close() waiting.
  class Pass {
   public:
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    friend class Gate;
    explicit Pass(Gate* gate) : gate_(gate) {}
    Gate* gate_;
  };

  // Nothing once the gate is closing.
  std::optional<Pass> Enter() {
    MutexLock lock(mutex_);
    if (closed_) return std::nullopt;
    ++inside_;
    return Pass(this);
  }

  // Refuses further passes at once and waits until `deadline` for those inside. True when none is
  // left.
  bool Close(absl::Time deadline = absl::InfiniteFuture()) {
    MutexLock lock(mutex_);
    closed_ = true;
    while (inside_ > 0) {
      if (!changed_.WaitUntil(mutex_, deadline) && inside_ > 0 && absl::Now() >= deadline)
        return false;
    }
    return true;
  }

 private:
  void Leave() {
    MutexLock lock(mutex_);
    if (--inside_ == 0) changed_.NotifyAll();
  }

  Mutex mutex_;
  CondVar changed_;
  size_t inside_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gantry::base
