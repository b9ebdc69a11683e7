// SPDX-License-Identifier: Apache-2.0
// What coroutines wait for from each other.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <utility>

#include "shim/loop/co.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// By which one who waits for an event is told to wait no longer, now or before it waits.
class GiveUp {
 public:
  GiveUp() = default;
  GiveUp(const GiveUp&) = delete;

  void Now();

 private:
  friend class Event;
  bool given_up_ = false;
  std::function<void()> wake_;  // while one waits
};

// Something that happens once, with any number of waiters, who go on in the turn after. Outlives
// its waiters.
class Event {
 public:
  explicit Event(Loop& loop) : loop_(loop) {}
  Event(const Event&) = delete;

  void Set();
  bool is_set() const { return set_; }

  // True once it has happened; false at the deadline.
  Co<bool> Wait(Time deadline = kNever);
  // False also once `give_up` is told so.
  Co<bool> Wait(Time deadline, GiveUp& give_up);

 private:
  struct Waiter;
  Loop& loop_;
  bool set_ = false;
  std::list<Waiter*> waiters_;
};

// Lets one operation on after the other, in the order in which they came.
class Turnstile {
 public:
  explicit Turnstile(Loop& loop) : loop_(loop) {}
  Turnstile(const Turnstile&) = delete;

  // Ends the turn when it goes.
  class [[nodiscard]] Turn {
   public:
    explicit Turn(Turnstile* owner) : owner_(owner) {}
    Turn(Turn&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (owner_ != nullptr) owner_->Next();
    }

   private:
    Turnstile* owner_;
  };

  Co<Turn> Enter();
  bool taken() const { return taken_; }

 private:
  void Next();

  Loop& loop_;
  bool taken_ = false;
  std::deque<std::coroutine_handle<>> queue_;
};

}  // namespace gantry::shim
