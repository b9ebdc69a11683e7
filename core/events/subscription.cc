// SPDX-License-Identifier: Apache-2.0
#include "core/events/subscription.h"

#include <utility>

#include "core/base/status.h"
#include "core/events/exchange.h"

namespace gantry::events {

Queue::Ready Queue::Push(SharedEnvelope event, size_t bytes) {
  base::MutexLock lock(mutex_);
  if (!ended_.ok()) return nullptr;
  if (items_.size() >= limits_.events || (!items_.empty() && bytes_ + bytes > limits_.bytes)) {
    return EndLocked(
        ResourceExhausted("subscriber is too slow: {} events wait for it", items_.size()));
  }
  items_.push_back({std::move(event), bytes});
  bytes_ += bytes;
  return std::exchange(ready_, nullptr);
}

std::optional<absl::StatusOr<SharedEnvelope>> Queue::Poll(Ready ready) {
  base::MutexLock lock(mutex_);
  if (!ended_.ok()) return ended_;
  if (items_.empty()) {
    ready_ = std::move(ready);
    return std::nullopt;
  }
  Item item = std::move(items_.front());
  items_.pop_front();
  bytes_ -= item.bytes;
  return std::move(item.event);
}

Queue::Ready Queue::EndLocked(absl::Status reason) {
  ended_ = std::move(reason);
  items_.clear();
  bytes_ = 0;
  return std::exchange(ready_, nullptr);
}

void Queue::End(absl::Status reason) {
  Ready ready;
  {
    base::MutexLock lock(mutex_);
    if (!ended_.ok()) return;
    ready = EndLocked(std::move(reason));
  }
  if (ready) ready();
}

Subscription::~Subscription() { exchange_.Remove(*queue_); }

void Subscription::Cancel() { queue_->End(Cancelled("subscription was cancelled")); }

}  // namespace gantry::events
