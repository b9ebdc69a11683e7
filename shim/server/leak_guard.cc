// SPDX-License-Identifier: Apache-2.0
#include "shim/server/leak_guard.h"

#include <utility>

namespace gantry::shim {

LeakGuard::LeakGuard(Loop& loop, Clock::duration limit, std::function<bool()> unused,
                     std::function<void()> expired)
    : limit_(limit), unused_(std::move(unused)), expired_(std::move(expired)), timer_(loop, [this] {
        if (unused_()) expired_();
      }) {}

void LeakGuard::Look() {
  if (limit_ == Clock::duration::zero() || !unused_()) return timer_.Cancel();
  if (!timer_.armed()) timer_.After(limit_);
}

}  // namespace gantry::shim
