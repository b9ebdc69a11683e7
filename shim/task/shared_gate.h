// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// Counts those inside, for one who waits until all have left. Whoever waits keeps others from
// entering by other means.
class SharedGate {
 public:
  explicit SharedGate(Loop& loop) : loop_(loop) {}
  SharedGate(const SharedGate&) = delete;

  class [[nodiscard]] Inside {
   public:
    explicit Inside(SharedGate* gate) : gate_(gate) { ++gate_->inside_; }
    Inside(Inside&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Inside& operator=(Inside&&) = delete;
    ~Inside() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    SharedGate* gate_;
  };
  Inside Enter() { return Inside(this); }

  Co<void> Empty() {
    while (inside_ > 0) {
      if (!empty_) empty_ = std::make_shared<Event>(loop_);
      const std::shared_ptr<Event> empty = empty_;
      co_await empty->Wait();
    }
  }

 private:
  void Leave() {
    if (--inside_ > 0 || !empty_) return;
    empty_->Set();
    empty_.reset();
  }

  Loop& loop_;
  size_t inside_ = 0;
  std::shared_ptr<Event> empty_;
};

}  // namespace gantry::shim
