// SPDX-License-Identifier: Apache-2.0
#include "shim/loop/event.h"

#include <optional>

namespace gantry::shim {

// Lives in the frame of the coroutine that waits.
struct Event::Waiter {
  Event& event;
  Time deadline;
  GiveUp* give_up = nullptr;
  bool happened = false;
  std::coroutine_handle<> self;
  std::list<Waiter*>::iterator place;
  std::optional<Timer> limit;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    self = handle;
    place = event.waiters_.insert(event.waiters_.end(), this);
    if (give_up != nullptr) {
      give_up->wake_ = [this] {
        event.waiters_.erase(place);
        Woken();
      };
    }
    if (deadline == kNever) return;
    limit.emplace(event.loop_, [this] {
      event.waiters_.erase(place);
      if (give_up != nullptr) give_up->wake_ = nullptr;
      self.resume();
    });
    limit->At(deadline);
  }
  bool await_resume() const noexcept { return happened; }

  // Nothing else wakes it any more.
  void Woken() {
    if (limit) limit->Cancel();
    if (give_up != nullptr) give_up->wake_ = nullptr;
    event.loop_.Post([waiter = self] { waiter.resume(); });
  }
};

void GiveUp::Now() {
  given_up_ = true;
  if (const std::function<void()> wake = wake_) wake();
}

void Event::Set() {
  if (set_) return;
  set_ = true;
  for (Waiter* waiter : waiters_) {
    waiter->happened = true;
    waiter->Woken();
  }
  waiters_.clear();
}

Co<bool> Event::Wait(Time deadline) {
  if (set_) co_return true;
  Waiter waiter{.event = *this, .deadline = deadline};
  co_return co_await waiter;
}

Co<bool> Event::Wait(Time deadline, GiveUp& give_up) {
  if (set_) co_return true;
  if (give_up.given_up_) co_return false;
  Waiter waiter{.event = *this, .deadline = deadline, .give_up = &give_up};
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
