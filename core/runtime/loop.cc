// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace gantry::runtime {
namespace {

constexpr uint64_t kWakeId = 0;
constexpr int kEventsPerTurn = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<Loop>> Loop::Start(std::string name) {
  kernel::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return FromErrno(errno, "create an epoll set");
  kernel::UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return FromErrno(errno, "create an eventfd");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWakeId}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return FromErrno(errno, "watch an eventfd");
  }
  std::unique_ptr<Loop> loop(new Loop(std::move(epoll), std::move(wake)));
  loop->thread_ = std::thread([raw = loop.get()] { raw->Run(); });
  ::pthread_setname_np(loop->thread_.native_handle(), name.substr(0, 15).c_str());
  return loop;
}

void Loop::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  Wake();
  if (thread_.joinable()) thread_.join();
  // What is dropped may own things that call us once more when they go.
  std::map<WatchId, Watched> watched;
  std::map<DueKey, Work> due;
  std::deque<Work> posted;
  base::MutexLock lock(mutex_);
  watched.swap(watched_);
  due.swap(due_);
  posted.swap(posted_);
  timers_.clear();
}

absl::StatusOr<Loop::WatchId> Loop::Watch(int fd, uint32_t events, Ready ready) {
  base::MutexLock lock(mutex_);
  const WatchId id = next_id_++;
  epoll_event event{.events = events, .data = {.u64 = id}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return FromErrno(errno, "watch a descriptor");
  }
  watched_.emplace(id, Watched{fd, std::make_shared<Ready>(std::move(ready))});
  return id;
}

void Loop::Unwatch(WatchId id) {
  std::shared_ptr<Ready> dropped;  // destroyed outside the lock: its captures may call us
  base::MutexLock lock(mutex_);
  const auto found = watched_.find(id);
  if (found == watched_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  dropped = std::move(found->second.ready);
  watched_.erase(found);
}

Loop::TimerId Loop::At(absl::Time time, Work work) {
  return AfterStart(SinceStart() + (time - absl::Now()), std::move(work));
}

Loop::TimerId Loop::After(absl::Duration delay, Work work) {
  return AfterStart(SinceStart() + delay, std::move(work));
}

// From a clock that nobody sets: a step of the wall clock would make every timer due, or none.
absl::Duration Loop::SinceStart() const {
  return absl::FromChrono(std::chrono::steady_clock::now() - start_);
}

Loop::TimerId Loop::AfterStart(absl::Duration time, Work work) {
  bool first = false;
  TimerId id = 0;
  {
    base::MutexLock lock(mutex_);
    id = next_id_++;
    timers_.emplace(id, time);
    const auto due = due_.emplace(DueKey(time, id), std::move(work)).first;
    first = due == due_.begin();
  }
  if (first) Wake();
  return id;
}

bool Loop::Cancel(TimerId id) {
  Work dropped;
  base::MutexLock lock(mutex_);
  const auto timer = timers_.find(id);
  if (timer == timers_.end()) return false;
  const auto due = due_.find(DueKey(timer->second, id));
  dropped = std::move(due->second);
  due_.erase(due);
  timers_.erase(timer);
  return true;
}

void Loop::Post(Work work) {
  {
    base::MutexLock lock(mutex_);
    posted_.push_back(std::move(work));
  }
  Wake();
}

void Loop::Wake() {
  const uint64_t one = 1;
  // A full counter means that a wake-up is due anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
}

void Loop::Run() {
  std::array<epoll_event, kEventsPerTurn> events{};
  while (true) {
    {
      base::MutexLock lock(mutex_);
      if (stopping_) return;
    }
    const int count = ::epoll_wait(epoll_.get(), events.data(), kEventsPerTurn, WaitMs());
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == kWakeId) {
        uint64_t ignored = 0;
        [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &ignored, sizeof(ignored));
      } else {
        RunReady(event.data.u64, event.events);
      }
    }
    RunDue();
    RunPosted();
  }
}

int Loop::WaitMs() {
  base::MutexLock lock(mutex_);
  if (stopping_ || !posted_.empty()) return 0;
  if (due_.empty()) return -1;
  const absl::Duration left = due_.begin()->first.first - SinceStart();
  // Rounded up: waking early would mean turning idly until the time has come.
  const absl::Duration capped = std::clamp(left, absl::ZeroDuration(), absl::Hours(1));
  return static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(capped, absl::Milliseconds(1))));
}

void Loop::RunReady(WatchId id, uint32_t events) {
  std::shared_ptr<Ready> ready;
  {
    base::MutexLock lock(mutex_);
    const auto found = watched_.find(id);
    if (found == watched_.end()) return;  // removed earlier in this turn
    ready = found->second.ready;
  }
  (*ready)(events);
}

void Loop::RunDue() {
  const absl::Duration now = SinceStart();
  while (true) {
    Work work;
    {
      base::MutexLock lock(mutex_);
      if (stopping_ || due_.empty() || due_.begin()->first.first > now) return;
      work = std::move(due_.begin()->second);
      timers_.erase(due_.begin()->first.second);
      due_.erase(due_.begin());
    }
    work();
  }
}

void Loop::RunPosted() {
  std::deque<Work> posted;
  {
    base::MutexLock lock(mutex_);
    posted.swap(posted_);
  }
  for (Work& work : posted) work();
}

}  // namespace gantry::runtime
