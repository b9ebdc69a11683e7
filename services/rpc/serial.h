// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "core/base/mutex.h"

namespace gantry::rpc {

// Runs one handler for events that come from many threads, one call at a time and with no lock
// held. Events that come meanwhile, from the handler itself among them, are handed to the next
// call. This is how a reactor with several operations under way keeps its state without a lock
// around gRPC's calls, which may call back at once.
//
// Shared by all who post, so that a late event finds somebody: after Close() nothing is handled.
// The handler may be the last that its owner does: it is not touched once it has closed.
// Threads: Post() from any thread; Close() from the handler.
class Serial : public std::enable_shared_from_this<Serial> {
 public:
  // `events` is a set of bits, the union of what was posted since the last call.
  using Handler = absl::AnyInvocable<void(unsigned events)>;

  explicit Serial(Handler handler) : handler_(std::move(handler)) {}

  void Post(unsigned events) {
    const std::shared_ptr<Serial> keep = shared_from_this();
    {
      base::MutexLock lock(mutex_);
      events_ |= events;
      if (running_ || closed_) return;
      running_ = true;
    }
    while (const unsigned next = Take()) handler_(next);
  }

  void Close() {
    base::MutexLock lock(mutex_);
    closed_ = true;
  }

 private:
  // What is next to handle; 0 when there is nothing.
  unsigned Take() {
    base::MutexLock lock(mutex_);
    const unsigned events = closed_ ? 0 : std::exchange(events_, 0U);
    if (events == 0) running_ = false;
    return events;
  }

  Handler handler_;  // run by one thread at a time
  base::Mutex mutex_;
  unsigned events_ ABSL_GUARDED_BY(mutex_) = 0;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gantry::rpc
