// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/gc/collector.h"
#include "core/metadata/metadata.h"
#include "core/plugin/plugin.h"

namespace gantry::gc {

// containerd's settings of [plugins."io.containerd.gc.v1.scheduler"].
struct SchedulerConfig {
  double pause_threshold =
      0.02;  // largest share of time in collections, 0 to 0.5; 0 keeps the interval at a second
  int deletion_threshold =
      0;  // run after this many dirty writes; 0: a deletion only starts the timer
  int mutation_threshold = 100;  // writes that justify a periodic run; 0: never
  absl::Duration schedule_delay = absl::ZeroDuration();
  absl::Duration startup_delay = absl::Milliseconds(100);  // zero or less: no run at start
  // Ours alone: when a backend is gone to again that failed or did not answer.
  absl::Duration retry_delay = absl::Minutes(1);
};

struct SchedulerStats {
  uint64_t succeeded = 0;
  uint64_t failed = 0;
  absl::Duration lock_time;
};

// Decides when to collect, on a thread of its own.
//
// Threads: all methods from any thread.
class Scheduler {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;
  using Run = std::function<absl::StatusOr<Collector::Result>(const Context&)>;

  Scheduler(SchedulerConfig config, Run run);
  // Waits for a run under way; whoever still waits gets Unavailable.
  virtual ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Asks for a run that starts after this call and tells its outcome, from the scheduler's thread.
  void Collect(Done done);

  // Tells of a committed write. Never blocks.
  void NoteMutation(const metadata::Mutation& mutation);

  SchedulerStats stats() const;

 private:
  void Loop(const std::stop_token& stop);
  // Has `done` told of the next run, unless there will be none.
  bool Queue(Done& done);
  bool IsDue(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Plan(absl::Time at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WorthRunning(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunOnce(std::stop_token stop);
  void Account(const absl::StatusOr<Collector::Result>& result, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const SchedulerConfig config_;
  const Run run_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Done> waiters_ ABSL_GUARDED_BY(mutex_);
  int deletions_ ABSL_GUARDED_BY(mutex_) = 0;
  int mutations_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time next_run_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  absl::Time next_expiry_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  absl::Duration interval_ ABSL_GUARDED_BY(mutex_);
  SchedulerStats stats_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;
};

inline constexpr plugin::Kind<Scheduler> kScheduler{"io.containerd.gc.v1"};

}  // namespace gantry::gc
