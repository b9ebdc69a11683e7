// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "shim/loop/loop.h"

namespace gantry::shim {

// Calls back while an fd is ready, a file's too, which epoll does not take because it always is.
// Destroy it before the fd is closed; the callback may.
class Readiness {
 public:
  Readiness(Loop& loop, int fd, std::function<void()> callback);

  // From now on, for one of these events (EPOLL… bits). Again after a call, to go on.
  void Await(uint32_t events);
  void Stop();

 private:
  void Call();

  const std::function<void()> callback_;
  FdWatch watch_;
  Timer again_;  // for what epoll does not take
};

}  // namespace gantry::shim
