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

namespace gantry::rpc {

// Answers once, with what comes first: the outcome of some work, or the end of the caller's wish
// for it. For work that goes on whether or not anybody waits.
//
// Threads: any.
template <typename Response>
class FirstAnswer {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  // `done` as the work is to call it; its state lives as long as what is returned.
  static Done Until(const Context& ctx, Done done) {
    auto answer = std::make_shared<FirstAnswer>(std::move(done));
    // Destroyed with the answer, which waits for it, so that the reference is good.
    answer->on_stop_.emplace(ctx.stop, [ctx, &first = *answer] { first.Answer(ctx.Check()); });
    return [answer](absl::StatusOr<Response> outcome) { answer->Answer(std::move(outcome)); };
  }

  explicit FirstAnswer(Done done) : done_(std::move(done)) {}

 private:
  void Answer(absl::StatusOr<Response> outcome) {
    Done done;
    {
      base::MutexLock lock(mutex_);
      done = std::exchange(done_, nullptr);
    }
    if (done) std::move(done)(std::move(outcome));
  }

  base::Mutex mutex_;
  Done done_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;
};

}  // namespace gantry::rpc
