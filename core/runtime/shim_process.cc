// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/shim_process.h"

#include <sys/epoll.h>
#include <sys/wait.h>

#include <utility>

#include "core/base/status.h"

namespace gantry::runtime {
namespace {

constexpr absl::Duration kPause = absl::Seconds(1);

}  // namespace

std::shared_ptr<ShimProcess> ShimProcess::Watch(Loop& loop, kernel::Subprocess process) {
  std::shared_ptr<ShimProcess> watched(new ShimProcess(loop, std::move(process).Release()));
  // From the loop's thread, so that nothing is called before all is in place.
  loop.Post([watched] { watched->Begin(); });
  return watched;
}

void ShimProcess::Begin() {
  auto watch =
      loop_.Watch(pidfd_.get(), EPOLLIN, [self = shared_from_this()](uint32_t) { self->Reap(); });
  if (watch.ok()) {
    watch_ = *watch;
  } else {  // no memory for it; a zombie can wait
    loop_.After(kPause, [self = shared_from_this()] { self->Begin(); });
  }
}

void ShimProcess::Reap() {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0) {
    return;
  }
  const auto self = shared_from_this();  // the watch may hold the last reference
  loop_.Unwatch(watch_);
  std::map<uint64_t, Told> waiters;
  kernel::ExitStatus end;
  (info.si_code == CLD_EXITED ? end.code : end.signal) = info.si_status;
  {
    base::MutexLock lock(mutex_);
    end_ = end;
    waiters.swap(waiters_);
  }
  for (auto& [number, told] : waiters) told(end);
}

void ShimProcess::WhenEnded(absl::Duration patience, Told told) {
  std::optional<kernel::ExitStatus> end;
  uint64_t waiter = 0;
  {
    base::MutexLock lock(mutex_);
    end = end_;
    if (!end) {
      waiter = ++next_waiter_;
      waiters_.emplace(waiter, std::move(told));
    }
  }
  if (end) return told(end);
  loop_.After(patience, [self = shared_from_this(), waiter] { self->GiveUp(waiter); });
}

void ShimProcess::GiveUp(uint64_t waiter) {
  Told told;
  {
    base::MutexLock lock(mutex_);
    const auto found = waiters_.find(waiter);
    if (found == waiters_.end()) return;
    told = std::move(found->second);
    waiters_.erase(found);
  }
  told(std::nullopt);
}

}  // namespace gantry::runtime
