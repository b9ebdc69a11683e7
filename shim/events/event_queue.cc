// SPDX-License-Identifier: Apache-2.0
#include "shim/events/event_queue.h"

#include <algorithm>

namespace gantry::shim {

void EventQueue::Push(QueuedEvent event) {
  if (events_.size() >= capacity_ && !DropOldest(Worth::kLittle) && !DropOldest(Worth::kSome) &&
      event.kind.worth != Worth::kAll) {
    ++dropped_;
    return;
  }
  events_.push_back(std::move(event));
}

QueuedEvent EventQueue::TakeFront() {
  QueuedEvent front = std::move(events_.front());
  events_.pop_front();
  return front;
}

bool EventQueue::DropOldest(Worth worth) {
  const auto oldest =
      std::find_if(events_.begin(), events_.end(),
                   [worth](const QueuedEvent& event) { return event.kind.worth == worth; });
  if (oldest == events_.end()) return false;
  events_.erase(oldest);
  ++dropped_;
  return true;
}

}  // namespace gantry::shim
