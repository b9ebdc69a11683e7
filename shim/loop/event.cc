// SPDX-License-Identifier: Apache-2.0
#include "shim/loop/event.h"

#include <optional>

namespace gantry::shim {

// Lives in the frame of the coroutine that waits.
struct Event::Waiter {
  Event& event;
  Time deadline;
  bool happened = false;
  std::coroutine_handle<> self;
  std::list<Waiter*>::iterator place;
  std::optional<Timer> limit;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    self = handle;
    place = event.waiters_.insert(event.waiters_.end(), this);
    if (deadline == kNever) return;
    limit.emplace(event.loop_, [this] {
      event.waiters_.erase(place);
      self.resume();
    });
    limit->At(deadline);
  }
  bool await_resume() const noexcept { return happened; }
};

void Event::Set() {
  if (set_) return;
  set_ = true;
  for (Waiter* waiter : waiters_) {
    waiter->happened = true;
    if (waiter->limit) waiter->limit->Cancel();
    loop_.Post([self = waiter->self] { self.resume(); });
  }
  waiters_.clear();
}

Co<bool> Event::Wait(Time deadline) {
  if (set_) co_return true;
  Waiter waiter{.event = *this, .deadline = deadline};
  co_return co_await waiter;
}

namespace {

struct Queued {
  std::deque<std::coroutine_handle<>>& queue;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> self) { queue.push_back(self); }
  void await_resume() const noexcept {}
};

}  // namespace

Co<Turnstile::Turn> Turnstile::Enter() {
  if (taken_) {
    co_await Queued{queue_};  // whoever leaves hands the turn on: taken_ stays true
  }
  taken_ = true;
  co_return Turn(this);
}

void Turnstile::Next() {
  if (queue_.empty()) {
    taken_ = false;
    return;
  }
  const std::coroutine_handle<> next = queue_.front();
  queue_.pop_front();
  loop_.Post([next] { next.resume(); });
}

}  // namespace gantry::shim
