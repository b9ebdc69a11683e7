// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/base/mutex.h"

namespace gantry::base {

// A fixed number of threads that run posted work in order of arrival, from a queue with a bound.
// For work that local disk or the CPU bounds; what waits on another process or a lock queue must
// not run here.
//
// Threads: any thread may post. The destructor stops taking work, runs what is queued, and joins.
class WorkerPool {
 public:
  using Work = absl::AnyInvocable<void()>;

  // `name` shows in thread listings (cut to 15 bytes).
  WorkerPool(std::string name, size_t threads, size_t max_queued);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the queue is full or the pool is stopping; the work is then not run.
  [[nodiscard]] bool TryPost(Work work);

  // Runs what is queued, then joins the threads. Idempotent; not to be called from pool work.
  void Stop();

 private:
  void Loop();

  const std::string name_;
  const size_t max_queued_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Work> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace gantry::base
