// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "shim/loop/loop.h"

namespace gantry::shim {

// Calls `quiet` once after each burst of activity on the loop, when at least `pause` and at most
// twice as long has passed without any. Wakes nobody while nothing happens. Threads: the loop's.
// The loop tells one Quiet of its activity, as long as that lives.
class Quiet {
 public:
  Quiet(Loop& loop, Clock::duration pause, std::function<void()> quiet);
  Quiet(const Quiet&) = delete;
  ~Quiet();

 private:
  void OnActivity();
  void OnPause();

  Loop& loop_;
  const Clock::duration pause_;
  const std::function<void()> quiet_;
  Timer timer_;
  bool active_ = false;  // since the timer was set
};

}  // namespace gantry::shim
