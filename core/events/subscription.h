// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "core/base/mutex.h"
#include "core/filters/filter.h"

namespace containerd::types {
class Envelope;
}

namespace gantry::events {

using Envelope = containerd::types::Envelope;
using SharedEnvelope = std::shared_ptr<const Envelope>;  // one object for all subscribers

class Exchange;

// What a subscriber may have waiting. Beyond either bound the subscription ends.
struct QueueLimits {
  size_t events = size_t{16} << 10;
  size_t bytes = size_t{16} << 20;
};

// The events that wait for one subscriber; shared by the subscription and the exchange.
//
// Threads: all methods from any thread.
class Queue {
 public:
  using Ready = absl::AnyInvocable<void()>;

  Queue(filters::Filter filter, QueueLimits limits) : filter_(std::move(filter)), limits_(limits) {}

  const filters::Filter& filter() const { return filter_; }

  // Appends an event. Answers the callback that is to be called once no lock is held, or null.
  Ready Push(SharedEnvelope event, size_t bytes);

  std::optional<absl::StatusOr<SharedEnvelope>> Poll(Ready ready);

  // No event will come any more; those that wait are dropped. The first reason stays.
  void End(absl::Status reason);

 private:
  Ready EndLocked(absl::Status reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  struct Item {
    SharedEnvelope event;
    size_t bytes = 0;
  };

  const filters::Filter filter_;
  const QueueLimits limits_;
  base::Mutex mutex_;
  std::deque<Item> items_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Ready ready_ ABSL_GUARDED_BY(mutex_);
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);
};

// A subscriber's end of its queue; events since Subscribe() that match its filter, in order.
//
// Ownership: leaves the exchange when it dies; the exchange outlives it.
// Threads:   Poll() from one thread at a time; Cancel() from any.
// Errors:    ResourceExhausted when the subscriber was too slow, Unavailable when the exchange
//            closed, Cancelled after Cancel(). The end is final.
class Subscription {
 public:
  Subscription(Exchange& exchange, std::shared_ptr<Queue> queue)
      : exchange_(exchange), queue_(std::move(queue)) {}
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  // The next event, or why there is none any more. Nothing if there is nothing yet: then `ready` is
  // called once, from the thread of a publisher or of Cancel(), as soon as Poll() would answer. It
  // must not block.
  std::optional<absl::StatusOr<SharedEnvelope>> Poll(Queue::Ready ready) {
    return queue_->Poll(std::move(ready));
  }

  void Cancel();

 private:
  Exchange& exchange_;
  const std::shared_ptr<Queue> queue_;
};

}  // namespace gantry::events
