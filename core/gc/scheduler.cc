// SPDX-License-Identifier: Apache-2.0
#include "core/gc/scheduler.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "core/log/log.h"

namespace gantry::gc {
namespace {

// A run counts as this long at least, so that quick ones do not follow each other without pause.
constexpr absl::Duration kShortestRun = absl::Milliseconds(5);
constexpr absl::Duration kIntervalWithoutThreshold = absl::Seconds(1);
constexpr absl::Duration kPauseAfterFailure = absl::Seconds(1);
// What one run may take, clean-up of every backend included.
constexpr absl::Duration kRunBudget = absl::Minutes(5);

}  // namespace

Scheduler::Scheduler(SchedulerConfig config, Run run)
    : config_(config), run_(std::move(run)), interval_(config.schedule_delay) {
  if (config_.startup_delay > absl::ZeroDuration()) {
    base::MutexLock lock(mutex_);
    // A run at start is wanted whatever was written since.
    deletions_ = 1;
    next_run_ = absl::Now() + config_.startup_delay;
  }
  thread_ = std::jthread([this](const std::stop_token& stop) {
    ::pthread_setname_np(::pthread_self(), "gc");
    Loop(stop);
  });
}

Scheduler::~Scheduler() {
  thread_.request_stop();
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
  std::vector<Done> waiters;
  {
    base::MutexLock lock(mutex_);
    waiters.swap(waiters_);
  }
  for (Done& done : waiters) std::move(done)(Unavailable("the daemon is stopping"));
}

void Scheduler::Collect(Done done) {
  if (Queue(done)) return changed_.NotifyAll();
  std::move(done)(Unavailable("the daemon is stopping"));
}

bool Scheduler::Queue(Done& done) {
  base::MutexLock lock(mutex_);
  if (stopping_) return false;
  waiters_.push_back(std::move(done));
  Plan(absl::Now() + config_.schedule_delay);
  return true;
}

void Scheduler::NoteMutation(const metadata::Mutation& mutation) {
  if (mutation.by_collector) return;
  base::MutexLock lock(mutex_);
  if (mutation.earliest_expiry < next_expiry_) {
    next_expiry_ = mutation.earliest_expiry;
    changed_.NotifyAll();
  }
  ++mutations_;
  if (mutation.dirty) ++deletions_;
  const bool deletions_reached =
      config_.deletion_threshold > 0 && deletions_ >= config_.deletion_threshold;
  // The end of a run under way plans the next one.
  const bool unscheduled = !running_ && next_run_ == absl::InfiniteFuture();
  const bool deletion_starts_timer = config_.deletion_threshold == 0 && deletions_ > 0;
  const bool mutations_reached =
      config_.mutation_threshold > 0 && mutations_ >= config_.mutation_threshold;
  if (deletions_reached || (unscheduled && (deletion_starts_timer || mutations_reached))) {
    Plan(absl::Now() + config_.schedule_delay);
    changed_.NotifyAll();
  }
}

SchedulerStats Scheduler::stats() const {
  base::MutexLock lock(mutex_);
  return stats_;
}

void Scheduler::Plan(absl::Time at) { next_run_ = std::min(next_run_, at); }

bool Scheduler::IsDue(absl::Time now) const { return std::min(next_run_, next_expiry_) <= now; }

bool Scheduler::WorthRunning(absl::Time now) const {
  return !waiters_.empty() || deletions_ > 0 || next_expiry_ <= now ||
         (config_.mutation_threshold > 0 && mutations_ >= config_.mutation_threshold);
}

void Scheduler::Loop(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      base::MutexLock lock(mutex_);
      while (!stopping_ && !IsDue(absl::Now()))
        changed_.WaitUntil(mutex_, std::min(next_run_, next_expiry_));
      if (stopping_) return;
      if (!WorthRunning(absl::Now())) {
        // Nothing happened since the last run: the next write or request plans again.
        next_run_ = absl::InfiniteFuture();
        continue;
      }
    }
    RunOnce(stop);
  }
}

void Scheduler::RunOnce(std::stop_token stop) {
  std::vector<Done> waiters;
  {
    base::MutexLock lock(mutex_);
    running_ = true;
    waiters.swap(waiters_);
    deletions_ = 0;
    mutations_ = 0;
    next_run_ = absl::InfiniteFuture();
    next_expiry_ = absl::InfiniteFuture();
  }
  const Context ctx = Context{.stop = std::move(stop)}.WithBudget(kRunBudget);
  const absl::StatusOr<Collector::Result> result = run_(ctx);
  {
    base::MutexLock lock(mutex_);
    running_ = false;
    Account(result, absl::Now());
  }
  if (!result.ok()) log::Warn("collection failed", {{"error", result.status()}});
  const absl::Status outcome =
      result.ok() ? absl::OkStatus() : Unknown("gc failed: {}", result.status().ToString());
  for (Done& done : waiters) std::move(done)(outcome);
}

void Scheduler::Account(const absl::StatusOr<Collector::Result>& result, absl::Time now) {
  if (!result.ok()) {
    ++stats_.failed;
    deletions_ = std::max(deletions_, 1);  // What it should have removed is still there.
    Plan(now + interval_ + kPauseAfterFailure);
    return;
  }
  ++stats_.succeeded;
  stats_.lock_time += result->lock_time;
  // What was written during the run may expire earlier than what it saw.
  next_expiry_ = std::min(next_expiry_, result->next_expiry);
  if (!result->cleaned) next_expiry_ = std::min(next_expiry_, now + config_.retry_delay);
  const absl::Duration mean =
      std::max(kShortestRun, stats_.lock_time / static_cast<int64_t>(stats_.succeeded));
  const double threshold = std::clamp(config_.pause_threshold, 0.0, 0.5);
  interval_ = threshold > 0 ? mean / threshold - mean : kIntervalWithoutThreshold;
  Plan(now + interval_);
}

}  // namespace gantry::gc
