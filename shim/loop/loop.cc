// SPDX-License-Identifier: Apache-2.0
#include "shim/loop/loop.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <climits>
#include <string>

namespace gantry::shim {
namespace {

constexpr int kEventsPerTurn = 64;

}  // namespace

kernel::Result<std::unique_ptr<Loop>> Loop::Create() {
  kernel::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return kernel::LastError("epoll_create1");
  return std::unique_ptr<Loop>(new Loop(std::move(epoll)));
}

Loop::~Loop() = default;

void Loop::Run() {
  while (!stopped_) {
    RunPosted();
    RunDue();
    if (!stopped_) RunReady();
  }
  stopped_ = false;
}

void Loop::RunPosted() {
  // What is posted meanwhile has its turn after the fds.
  for (size_t count = posted_.size(); count > 0 && !stopped_; --count) {
    const std::function<void()> call = std::move(posted_.front());
    posted_.pop_front();
    call();
  }
}

void Loop::RunDue() {
  const Time now = Clock::now();
  while (!stopped_ && !timers_.empty() && timers_.begin()->first <= now) {
    Timer* timer = timers_.begin()->second;
    timer->Cancel();
    // A copy: the callback may destroy the timer.
    const std::function<void()> callback = timer->callback_;
    callback();
  }
}

int Loop::WaitLimitMs() const {
  if (!posted_.empty()) return 0;
  if (timers_.empty()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, INT_MAX));
}

void Loop::RunReady() {
  std::array<epoll_event, kEventsPerTurn> ready;
  const int count = ::epoll_wait(epoll_.get(), ready.data(), kEventsPerTurn, WaitLimitMs());
  for (int i = 0; i < count && !stopped_; ++i) {
    // An earlier callback of this turn may have ended this watch; its number is not used again.
    const auto found = watches_.find(ready[static_cast<size_t>(i)].data.u64);
    if (found == watches_.end()) continue;
    const FdWatch::Callback callback = found->second->callback_;
    callback(ready[static_cast<size_t>(i)].events);
  }
  if (count > 0 && on_activity_) on_activity_();
}

kernel::Result<void> FdWatch::Arm(uint32_t events) {
  if (number_ != 0 && events == events_ && (events & EPOLLET) == 0) return {};
  epoll_event event{};
  event.events = events;
  event.data.u64 = number_ != 0 ? number_ : loop_.next_watch_;
  if (::epoll_ctl(loop_.epoll_.get(), number_ != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd_, &event) !=
      0) {
    return kernel::LastError("epoll_ctl of fd " + std::to_string(fd_));
  }
  if (number_ == 0) {
    number_ = loop_.next_watch_++;
    loop_.watches_.emplace(number_, this);
  }
  events_ = events;
  return {};
}

void FdWatch::Disarm() {
  if (number_ == 0) return;
  ::epoll_ctl(loop_.epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
  loop_.watches_.erase(number_);
  number_ = 0;
}

void Timer::At(Time time) {
  Cancel();
  if (time == kNever) return;
  time_ = time;
  loop_.timers_.emplace(time_, this);
}

void Timer::Cancel() {
  if (!armed()) return;
  loop_.timers_.erase({time_, this});
  time_ = kNever;
}

}  // namespace gantry::shim
