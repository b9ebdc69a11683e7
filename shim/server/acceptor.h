// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// Accepts the connections of peers that have our uid and gid; others are closed without a word.
//
// Where fds have run out, a spare one takes the connection and closes it. After other errors it
// pauses, for 1 ms and doubling to 1 s.
class Acceptor {
 public:
  using Callback = std::function<void(kernel::UniqueFd connection)>;

  // `listener`, borrowed, does not block and outlives this.
  Acceptor(Loop& loop, int listener, Callback callback);
  Acceptor(const Acceptor&) = delete;

  kernel::Result<void> Start();

  // Takes up who waits, without waiting for the loop's turn.
  void AcceptWaiting();

 private:
  bool Accept();  // false: there was nobody, or no fd
  void Shed();
  void Pause();
  void Resume();

  const int listener_;
  const Callback callback_;
  kernel::UniqueFd spare_;
  Clock::duration pause_{};
  FdWatch watch_;
  Timer resume_;
};

}  // namespace gantry::shim
