// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "shim/loop/loop.h"

namespace gantry::shim {

// Ends a server that nobody uses and nobody will: calls `expired` once it has been unused for
// `limit` without a break. A limit of zero: never.
class LeakGuard {
 public:
  LeakGuard(Loop& loop, Clock::duration limit, std::function<bool()> unused,
            std::function<void()> expired);
  LeakGuard(const LeakGuard&) = delete;

  // To be called first when all is set up, then whenever the answer of `unused` may have changed.
  void Look();

 private:
  const Clock::duration limit_;
  const std::function<bool()> unused_;
  const std::function<void()> expired_;
  Timer timer_;
};

}  // namespace gantry::shim
