// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/runtime/loop.h"

namespace gantry::runtime {

// The value of an operation that has none.
struct Nothing {};

// How an operation is answered: once, from any thread.
template <typename T>
using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;

// Who waits for an operation that goes on without them. Answered with the outcome, or when the
// context ends, whichever comes first.
//
// Threads: any. The loop outlives it.
template <typename T>
class Caller : public std::enable_shared_from_this<Caller<T>> {
 public:
  static std::shared_ptr<Caller> Make(Loop& loop, const Context& ctx, Done<T> done) {
    auto caller = std::shared_ptr<Caller>(new Caller(loop, std::move(done)));
    caller->Follow(ctx);
    return caller;
  }

  // False when the caller has been answered before: it will not learn of this outcome.
  bool Answer(absl::StatusOr<T> result) {
    Done<T> done;
    std::unique_ptr<OnStop> on_stop;  // destroyed outside the lock: that waits for a running call
    Loop::TimerId timer = 0;
    {
      base::MutexLock lock(mutex_);
      if (done_ == nullptr) return false;
      done = std::exchange(done_, nullptr);
      on_stop = std::move(on_stop_);
      timer = std::exchange(timer_, 0);
    }
    if (timer != 0) loop_.Cancel(timer);
    done(std::move(result));
    return true;
  }

  bool waiting() const {
    base::MutexLock lock(mutex_);
    return done_ != nullptr;
  }

  // An answer to be handed on.
  Done<T> AsDone() {
    return [self = this->shared_from_this()](absl::StatusOr<T> result) {
      self->Answer(std::move(result));
    };
  }

 private:
  using OnStop = std::stop_callback<std::function<void()>>;

  Caller(Loop& loop, Done<T> done) : loop_(loop), done_(std::move(done)) {}

  void Follow(const Context& ctx) {
    std::weak_ptr<Caller> weak = this->weak_from_this();
    if (ctx.deadline != absl::InfiniteFuture()) {
      const Loop::TimerId timer = loop_.At(ctx.deadline, [weak] {
        if (auto self = weak.lock()) {
          self->Answer(absl::DeadlineExceededError("context deadline exceeded"));
        }
      });
      base::MutexLock lock(mutex_);
      if (done_ != nullptr) timer_ = timer;
    }
    if (!ctx.stop.stop_possible()) return;
    // May call at once, on this thread.
    auto on_stop = std::make_unique<OnStop>(ctx.stop, [weak] {
      if (auto self = weak.lock()) self->Answer(absl::CancelledError("context canceled"));
    });
    base::MutexLock lock(mutex_);
    if (done_ != nullptr) on_stop_ = std::move(on_stop);
  }

  Loop& loop_;
  mutable base::Mutex mutex_;
  Done<T> done_ ABSL_GUARDED_BY(mutex_);  // null once answered
  std::unique_ptr<OnStop> on_stop_ ABSL_GUARDED_BY(mutex_);
  Loop::TimerId timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace gantry::runtime
