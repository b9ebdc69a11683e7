// SPDX-License-Identifier: Apache-2.0
#include "core/ttrpc/loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/status.h"

namespace gantry::ttrpc {
namespace {

// The watch of the mailbox; other ids start at 1.
constexpr uint64_t kMailboxId = 0;

}  // namespace

bool Loop::Mailbox::Post(Task task) {
  {
    base::MutexLock lock(mutex_);
    if (closed_) return false;
    tasks_.push_back(std::move(task));
    if (tasks_.size() > 1) return true;  // whoever posted the first one has rung
  }
  const uint64_t one = 1;
  // Only a full counter could fail this, and that is awake already.
  (void)!::write(wake_.get(), &one, sizeof(one));
  return true;
}

std::vector<Loop::Task> Loop::Mailbox::Take() {
  uint64_t rings = 0;
  (void)!::read(wake_.get(), &rings, sizeof(rings));  // EAGAIN when nobody rang
  base::MutexLock lock(mutex_);
  return std::exchange(tasks_, {});
}

void Loop::Mailbox::Close() {
  std::vector<Task> dropped;
  base::MutexLock lock(mutex_);
  closed_ = true;
  dropped.swap(tasks_);
}

absl::StatusOr<std::unique_ptr<Loop>> Loop::Start(const std::string& name) {
  kernel::UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return FromErrno(errno, "eventfd");
  kernel::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return FromErrno(errno, "epoll_create1");
  std::shared_ptr<Mailbox> mailbox(new Mailbox(std::move(wake)));
  std::unique_ptr<Loop> loop(new Loop(std::move(mailbox), std::move(epoll)));
  if (!loop->Control(EPOLL_CTL_ADD, kMailboxId, loop->mailbox_->wake_.get(), EPOLLIN)) {
    return FromErrno(errno, "epoll_ctl");
  }
  loop->thread_ = std::thread([loop = loop.get()] { loop->Run(); });
  ::pthread_setname_np(loop->thread_.native_handle(), name.substr(0, 15).c_str());
  return loop;
}

Loop::~Loop() {
  if (!thread_.joinable()) return;  // Start() gave up on it
  Post([this] { stopping_ = true; });
  thread_.join();
  mailbox_->Close();
}

void Loop::RunAndWait(absl::FunctionRef<void()> work) {
  if (InLoop()) {
    work();
    return;
  }
  base::Mutex mutex;
  base::CondVar changed;
  bool done = false;
  Post([&] {
    work();
    base::MutexLock lock(mutex);
    done = true;
    changed.NotifyOne();  // under the lock: the waiter destroys both
  });
  base::MutexLock lock(mutex);
  while (!done) changed.Wait(mutex);
}

bool Loop::Control(int operation, WatchId id, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  return ::epoll_ctl(epoll_.get(), operation, fd, &event) == 0;
}

absl::StatusOr<Loop::WatchId> Loop::Watch(int fd, uint32_t events, OnEvents on_events) {
  const WatchId id = next_id_++;
  if (!Control(EPOLL_CTL_ADD, id, fd, events)) return FromErrno(errno, "epoll_ctl");
  watches_[id] = {.fd = fd, .on_events = std::make_shared<OnEvents>(std::move(on_events))};
  return id;
}

void Loop::SetEvents(WatchId id, uint32_t events) {
  const auto watched = watches_.find(id);
  if (watched != watches_.end()) Control(EPOLL_CTL_MOD, id, watched->second.fd, events);
}

void Loop::Unwatch(WatchId id) {
  const auto watched = watches_.find(id);
  if (watched == watches_.end()) return;
  Control(EPOLL_CTL_DEL, id, watched->second.fd, 0);
  watches_.erase(watched);
}

Loop::TimerId Loop::After(absl::Duration delay, Task task) {
  const TimerId id = next_id_++;
  // A delay beyond this is one that nobody will see the end of.
  const absl::Duration bounded = std::clamp(delay, absl::ZeroDuration(), absl::Hours(24 * 365));
  const auto when = Clock::now() + absl::ToChronoNanoseconds(bounded);
  timers_.emplace(std::pair(when, id), std::move(task));
  timer_times_[id] = when;
  return id;
}

void Loop::CancelTimer(TimerId id) {
  const auto time = timer_times_.find(id);
  if (time == timer_times_.end()) return;
  timers_.erase({time->second, id});
  timer_times_.erase(time);
}

int Loop::WaitMs() const {
  if (timers_.empty()) return -1;
  const auto left = timers_.begin()->first.first - Clock::now();
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<int64_t>(ms, 0, 3'600'000));
}

void Loop::RunTimers() {
  const auto now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().second);
    node.mapped()();
  }
}

void Loop::Dispatch(WatchId id, uint32_t events) {
  // An earlier callback of the same batch may have removed the watch.
  const auto watched = watches_.find(id);
  if (watched == watches_.end()) return;
  const std::shared_ptr<OnEvents> on_events = watched->second.on_events;
  (*on_events)(events);
}

void Loop::Run() {
  thread_id_ = std::this_thread::get_id();
  std::array<epoll_event, 64> events{};
  while (!stopping_) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), WaitMs());
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 != kMailboxId) Dispatch(event.data.u64, event.events);
    }
    RunTimers();
    for (Task& task : mailbox_->Take()) task();
  }
}

}  // namespace gantry::ttrpc
