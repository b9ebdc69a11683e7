// SPDX-License-Identifier: Apache-2.0
#include "shim/loop/wait.h"

#include <cerrno>
#include <coroutine>
#include <string>

namespace gantry::shim {
namespace {

// Suspends until somebody resumes `self`.
struct Pause {
  std::coroutine_handle<>& self;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept { self = handle; }
  void await_resume() const noexcept {}
};

}  // namespace

Co<void> SleepUntil(Loop& loop, Time time) {
  std::coroutine_handle<> self;
  Timer timer(loop, [&self] { self.resume(); });
  timer.At(time);
  co_await Pause{self};
}

Co<kernel::Result<uint32_t>> WaitReady(Loop& loop, int fd, uint32_t events, Time deadline) {
  std::coroutine_handle<> self;
  uint32_t ready = 0;
  FdWatch watch(loop, fd, [&self, &ready](uint32_t bits) {
    ready = bits;
    self.resume();
  });
  if (auto armed = watch.Arm(events); !armed) co_return armed.error();
  Timer timer(loop, [&self] { self.resume(); });
  timer.At(deadline);
  co_await Pause{self};
  if (ready == 0) co_return kernel::Error{ETIMEDOUT, "wait for fd " + std::to_string(fd)};
  co_return ready;
}

}  // namespace gantry::shim
