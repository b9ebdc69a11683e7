// SPDX-License-Identifier: Apache-2.0
// Coroutines: an operation of many waits, written as if it ran through.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <optional>
#include <utility>

namespace gantry::shim {

template <typename T>
class Co;

namespace co_internal {

// At its end a coroutine goes on with whoever awaits it; one that Start() began frees itself.
struct FinalAwaiter {
  bool await_ready() noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
    Promise& promise = self.promise();
    if (promise.awaiter) return promise.awaiter;
    if (promise.detached) self.destroy();
    return std::noop_coroutine();
  }
  void await_resume() noexcept {}
};

struct PromiseBase {
  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { std::abort(); }  // nothing here throws

  std::coroutine_handle<> awaiter;
  bool detached = false;
};

template <typename T>
struct Promise : PromiseBase {
  Co<T> get_return_object() noexcept;
  template <typename U>
  void return_value(U&& returned) {
    value.emplace(std::forward<U>(returned));
  }
  T Take() { return *std::move(value); }

  std::optional<T> value;
};

template <>
struct Promise<void> : PromiseBase {
  Co<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void Take() noexcept {}
};

}  // namespace co_internal

// A coroutine that gives a T. It begins when it is awaited, which is done once, and its awaiter
// goes on when it ends. Parameters are copied into it; what they point to, and `this` of a member,
// must outlive it. A lambda with captures is no coroutine. A closure or struct that is handed to
// one in a co_await expression gets a name first: GCC 12 copies such temporaries bit by bit. So
// does a bool that an `if` asks about, in a coroutine without locals, whose frame GCC 12 lays out
// wrong.
//
// Threads: one.
template <typename T = void>
class [[nodiscard]] Co {
 public:
  using promise_type = co_internal::Promise<T>;

  Co(Co&& other) noexcept : self_(std::exchange(other.self_, nullptr)) {}
  Co& operator=(Co&&) = delete;
  ~Co() {
    if (self_) self_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    self_.promise().awaiter = awaiter;
    return self_;
  }
  T await_resume() { return self_.promise().Take(); }

 private:
  friend promise_type;
  friend void Start(Co<void> coroutine);
  explicit Co(std::coroutine_handle<promise_type> self) : self_(self) {}

  std::coroutine_handle<promise_type> self_;
};

template <typename T>
Co<T> co_internal::Promise<T>::get_return_object() noexcept {
  return Co<T>(std::coroutine_handle<Promise>::from_promise(*this));
}

inline Co<void> co_internal::Promise<void>::get_return_object() noexcept {
  return Co<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

// Runs a coroutine that nobody awaits, up to its first wait before Start() returns.
inline void Start(Co<void> coroutine) {
  const auto self = std::exchange(coroutine.self_, nullptr);
  self.promise().detached = true;
  self.resume();
}

}  // namespace gantry::shim
