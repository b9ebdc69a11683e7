// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::shim {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
inline constexpr Time kNever = Time::max();

// The thread's event loop: what happens to fds, what is due, and what was posted. Nothing wakes it
// when nothing happens.
//
// One turn runs what was posted, then what is due, then what a bounded number of fds is ready for,
// so that no one source can starve another. Callbacks may make and destroy watches and timers,
// their own too. Threads: one. Outlives its watches and timers.
class Loop {
 public:
  static kernel::Result<std::unique_ptr<Loop>> Create();
  Loop(const Loop&) = delete;
  ~Loop();

  // Until Stop(), which may have been called before.
  void Run();
  void Stop() { stopped_ = true; }

  // Calls `call` in the next turn, after what was posted before.
  void Post(std::function<void()> call) { posted_.push_back(std::move(call)); }

  // Calls `call` after each turn in which an fd was ready, in place of an earlier one; null:
  // nobody.
  void OnActivity(std::function<void()> call) { on_activity_ = std::move(call); }

  size_t watches() const { return watches_.size(); }
  size_t timers() const { return timers_.size(); }

 private:
  friend class FdWatch;
  friend class Timer;
  explicit Loop(kernel::UniqueFd epoll) : epoll_(std::move(epoll)) {}
  void RunPosted();
  void RunDue();
  void RunReady();
  int WaitLimitMs() const;

  kernel::UniqueFd epoll_;
  std::map<uint64_t, class FdWatch*> watches_;  // by the number that epoll knows them by
  std::set<std::pair<Time, class Timer*>> timers_;
  std::deque<std::function<void()>> posted_;
  std::function<void()> on_activity_;
  uint64_t next_watch_ = 1;
  bool stopped_ = false;
};

// Calls back while an fd is ready. Destroy it before the fd is closed.
class FdWatch {
 public:
  // Called with the EPOLL… bits that hold; level-triggered, unless armed with EPOLLET.
  using Callback = std::function<void(uint32_t events)>;

  FdWatch(Loop& loop, int fd, Callback callback)
      : loop_(loop), fd_(fd), callback_(std::move(callback)) {}
  FdWatch(const FdWatch&) = delete;
  ~FdWatch() { Disarm(); }

  // Asks for these events from now on, in place of earlier ones. EPOLLERR and EPOLLHUP come
  // unasked, hence Disarm() where they are of no use. EPERM: a file that is always ready.
  kernel::Result<void> Arm(uint32_t events);
  void Disarm();
  int fd() const { return fd_; }

 private:
  friend class Loop;
  Loop& loop_;
  const int fd_;
  const Callback callback_;
  uint64_t number_ = 0;  // 0: not armed
  uint32_t events_ = 0;
};

// Calls back once, at or after a time.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> callback) : loop_(loop), callback_(std::move(callback)) {}
  Timer(const Timer&) = delete;
  ~Timer() { Cancel(); }

  // In place of an earlier time. kNever cancels.
  void At(Time time);
  void After(Clock::duration duration) { At(Clock::now() + duration); }
  void Cancel();
  bool armed() const { return time_ != kNever; }

 private:
  friend class Loop;
  Loop& loop_;
  const std::function<void()> callback_;
  Time time_ = kNever;
};

}  // namespace gantry::shim
