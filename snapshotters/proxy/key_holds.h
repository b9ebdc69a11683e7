// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/base/status.h"

namespace gantry::proxy {

// Which keys a step that is under way at the other process will change, and who waits for its
// outcome. Waiting holds no thread.
//
// Threads: all methods from any thread. Waiters go on from whoever lets go, by `post`.
class KeyHolds {
 public:
  struct Key {
    std::string ns;
    std::string key;
    auto operator<=>(const Key&) const = default;
  };
  struct Want {
    Key key;
    // kSettled: wait only while the outcome of an earlier, unanswered step is being found out.
    // kFree: wait for a step under way too. kHold: and then be the one that holds it.
    enum class How { kSettled, kFree, kHold } how = How::kSettled;
  };
  using Go = absl::AnyInvocable<void(absl::Status)>;
  using Post = std::function<void(absl::AnyInvocable<void()>)>;

  // Nobody waits longer than `patience`.
  KeyHolds(Post post, absl::Duration patience) : post_(std::move(post)), patience_(patience) {}

  // Calls `go` with OK once all that is wanted is there, at once or later, or with an error once
  // the context ends (Cancelled, DeadlineExceeded) or patience does (Unavailable).
  void Acquire(const Context& ctx, std::vector<Want> wants, Go go);

  // Holds the keys of a step whose outcome nobody knows: an earlier daemon began it, or whoever
  // held them got no answer.
  void MarkUnsettled(const std::vector<Key>& keys);
  void Release(const std::vector<Key>& keys);

  // Lets waiters go whose time is over; to be called every now and then.
  void Expire();
  // Lets all waiters go with Unavailable, those to come too.
  void Close();

 private:
  struct Waiter {
    Context ctx;
    std::vector<Want> wants;
    absl::Time until;
    Go go;
  };
  enum class Held { kUnderWay, kUnsettled };

  void LetGo(std::vector<std::pair<Go, absl::Status>> waiters);
  bool TryTake(const std::vector<Want>& wants) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes out those waiters for whom `verdict` has one.
  std::vector<std::pair<Go, absl::Status>> TakeOut(
      absl::FunctionRef<std::optional<absl::Status>(const Waiter&)> verdict)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Post post_;
  const absl::Duration patience_;
  mutable base::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<Key, Held> held_ ABSL_GUARDED_BY(mutex_);
  std::list<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);  // in order of arrival
};

}  // namespace gantry::proxy
