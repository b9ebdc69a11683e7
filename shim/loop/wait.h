// SPDX-License-Identifier: Apache-2.0
// Waits of one coroutine.
#pragma once

#include <cstdint>

#include "core/kernel/result.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

Co<void> SleepUntil(Loop& loop, Time time);
inline Co<void> Sleep(Loop& loop, Clock::duration duration) {
  return SleepUntil(loop, Clock::now() + duration);
}

// Waits until `fd`, which no watch is armed on, is ready for one of `events` (EPOLL… bits). Gives
// the bits that hold; ETIMEDOUT at the deadline.
Co<kernel::Result<uint32_t>> WaitReady(Loop& loop, int fd, uint32_t events, Time deadline);

}  // namespace gantry::shim
