// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "core/base/worker_pool.h"
#include "core/runtime/loop.h"

namespace gantry::runtime {

// Runs the steps of an operation that touch disk or spawn a program: what waits has the loop, what
// blocks briefly has these threads. How many operations there are is bounded where they are
// admitted, so a step that finds the queue full is only early and waits its turn.
//
// Threads: any.
class Steps {
 public:
  using Work = base::WorkerPool::Work;

  Steps(base::WorkerPool& pool, Loop& loop) : pool_(pool), loop_(loop) {}

  void Run(Work work) { Try(std::make_shared<Work>(std::move(work))); }

 private:
  void Try(const std::shared_ptr<Work>& work) {
    if (pool_.TryPost([work] { (*work)(); })) return;
    loop_.After(absl::Milliseconds(10), [this, work] { Try(work); });
  }

  base::WorkerPool& pool_;
  Loop& loop_;
};

}  // namespace gantry::runtime
