// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/kernel/unique_fd.h"

namespace gantry::runtime {

// One thread that waits for file descriptors and points in time on behalf of everybody, so that no
// caller has to.
//
// What it calls must return soon: it may start things and hand work to a pool, but never wait, and
// disk is for the pool. A call that runs while its watch or timer is removed on another thread runs
// to its end, so closures own what they touch.
//
// Threads: all methods from any thread.
class Loop {
 public:
  using WatchId = uint64_t;
  using TimerId = uint64_t;
  using Ready = absl::AnyInvocable<void(uint32_t events)>;
  using Work = absl::AnyInvocable<void()>;

  // `name` shows in thread listings (cut to 15 bytes).
  static absl::StatusOr<std::unique_ptr<Loop>> Start(std::string name);
  ~Loop() { Stop(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Calls `ready` whenever one of `events` (EPOLLIN, …) or an error holds for `fd`, again and again
  // while it holds. `fd` is borrowed until Unwatch().
  absl::StatusOr<WatchId> Watch(int fd, uint32_t events, Ready ready);
  void Unwatch(WatchId id);

  // Calls `work` once at `time` or soon after. Later steps of the wall clock do not move the
  // moment.
  TimerId At(absl::Time time, Work work);
  TimerId After(absl::Duration delay, Work work);
  // False when it has run, or is running.
  bool Cancel(TimerId id);

  // Calls `work` on the loop's thread.
  void Post(Work work);

  // Ends the thread; what is still watched, due or posted is never called. Idempotent; not from the
  // loop's own thread.
  void Stop();

 private:
  struct Watched {
    int fd = -1;
    std::shared_ptr<Ready> ready;
  };
  using DueKey = std::pair<absl::Duration, TimerId>;  // since start_

  Loop(kernel::UniqueFd epoll, kernel::UniqueFd wake)
      : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

  absl::Duration SinceStart() const;
  TimerId AfterStart(absl::Duration time, Work work);
  void Run();
  int WaitMs();
  void RunReady(WatchId id, uint32_t events);
  void RunDue();
  void RunPosted();
  void Wake();

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  kernel::UniqueFd epoll_;
  kernel::UniqueFd wake_;  // eventfd; 0 in the epoll set
  base::Mutex mutex_;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<WatchId, Watched> watched_ ABSL_GUARDED_BY(mutex_);
  std::map<DueKey, Work> due_ ABSL_GUARDED_BY(mutex_);
  std::map<TimerId, absl::Duration> timers_ ABSL_GUARDED_BY(mutex_);
  std::deque<Work> posted_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace gantry::runtime
