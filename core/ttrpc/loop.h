// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/mutex.h"
#include "core/kernel/unique_fd.h"

namespace gantry::ttrpc {

// One thread that waits on many fds and timers, and runs their callbacks one after the other.
// Callbacks must not block: every connection of the loop waits for them.
//
// Lifetime: watches and timers are removed before the loop dies; tasks posted to a loop that has
// ended are dropped. The destructor is not called from the loop itself.
// Threads: Post() and RunAndWait() from any thread, the rest from the loop's callbacks alone.
class Loop {
 public:
  using Task = absl::AnyInvocable<void()>;
  using OnEvents = absl::AnyInvocable<void(uint32_t epoll_events)>;
  using WatchId = uint64_t;
  using TimerId = uint64_t;

  // The way into a loop for those who may outlive it.
  class Mailbox {
   public:
    // False, and the task is dropped, once the loop has ended.
    bool Post(Task task);

   private:
    friend class Loop;
    explicit Mailbox(kernel::UniqueFd wake) : wake_(std::move(wake)) {}
    std::vector<Task> Take();
    void Close();

    const kernel::UniqueFd wake_;  // an eventfd
    base::Mutex mutex_;
    std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
    bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  };

  // `name` shows in thread listings (cut to 15 bytes).
  static absl::StatusOr<std::unique_ptr<Loop>> Start(const std::string& name);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void Post(Task task) { mailbox_->Post(std::move(task)); }
  // Runs `work` in the loop and returns when it is done; called from the loop, at once.
  void RunAndWait(absl::FunctionRef<void()> work);
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
  bool InLoop() const { return std::this_thread::get_id() == thread_id_.load(); }

  // Calls back for the asked events of epoll(7), errors and hang-ups always. `fd` is borrowed until
  // Unwatch().
  absl::StatusOr<WatchId> Watch(int fd, uint32_t events, OnEvents on_events);
  void SetEvents(WatchId id, uint32_t events);
  void Unwatch(WatchId id);

  // Unmoved by changes of the wall clock.
  TimerId After(absl::Duration delay, Task task);
  void CancelTimer(TimerId id);

 private:
  using Clock = std::chrono::steady_clock;
  struct Watched {
    int fd = -1;
    std::shared_ptr<OnEvents> on_events;  // shared: it may remove itself while it runs
  };

  Loop(std::shared_ptr<Mailbox> mailbox, kernel::UniqueFd epoll)
      : mailbox_(std::move(mailbox)), epoll_(std::move(epoll)) {}
  void Run();
  int WaitMs() const;
  void RunTimers();
  void Dispatch(WatchId id, uint32_t events);
  bool Control(int operation, WatchId id, int fd, uint32_t events);

  const std::shared_ptr<Mailbox> mailbox_;
  const kernel::UniqueFd epoll_;
  bool stopping_ = false;
  uint64_t next_id_ = 1;
  std::unordered_map<WatchId, Watched> watches_;
  std::map<std::pair<Clock::time_point, TimerId>, Task> timers_;
  std::unordered_map<TimerId, Clock::time_point> timer_times_;
  std::atomic<std::thread::id> thread_id_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace gantry::ttrpc
