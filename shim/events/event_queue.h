// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "shim/events/event_kind.h"
#include "shim/messages/types.h"

namespace gantry::shim {

struct QueuedEvent {
  EventKind kind;
  messages::Timestamp at;  // when it happened
  messages::Any event;
};

// Events in the order in which they happened. When it is full, the oldest of the least worth makes
// room; what is worth all has a place beyond the capacity.
class EventQueue {
 public:
  explicit EventQueue(size_t capacity) : capacity_(capacity) {}

  void Push(QueuedEvent event);
  QueuedEvent TakeFront();

  bool empty() const { return events_.empty(); }
  size_t size() const { return events_.size(); }
  uint64_t dropped() const { return dropped_; }

 private:
  bool DropOldest(Worth worth);

  const size_t capacity_;
  std::deque<QueuedEvent> events_;
  uint64_t dropped_ = 0;
};

}  // namespace gantry::shim
