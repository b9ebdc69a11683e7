// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/gc/resource.h"

namespace gantry::gc {

// Cleans up behind collections: every backend that may hold bytes without owner, each on a thread
// of its own, so that one that hangs holds up no other. What failed or was cut short stays marked.
//
// Ownership: backends are borrowed and outlive it. The destructor stops what is under way.
// Threads:   Run() from one thread at a time; MarkDirty() from any.
class Cleaners {
 public:
  // All backends count as dirty at first: a daemon that was killed may have left bytes behind
  // anywhere.
  explicit Cleaners(std::map<std::string, Backend*> backends);
  ~Cleaners();

  void MarkDirty(std::string_view name);

  // Cleans up behind the dirty backends and waits for each as long as its patience says; one that
  // is still busy from an earlier run is not waited for. True if nothing is left to do.
  bool Run(const Context& ctx);

 private:
  struct Worker {
    bool running = false;
    absl::Time waited_for;  // no longer than that
    std::jthread thread;
  };

  void Clean(const std::string& name, Backend& backend, const Context& ctx);
  // Marks what can be cleaned now as running, and takes it out of the dirty ones.
  std::set<std::string> TakeDirty();
  // False once every one of these is over or has been waited for long enough.
  bool MustWait(const std::set<std::string>& names, absl::Time* until) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::map<std::string, Backend*> backends_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::set<std::string, std::less<>> dirty_ ABSL_GUARDED_BY(mutex_);
  // The flags are guarded; the threads are Run()'s.
  std::map<std::string, Worker> workers_;
};

}  // namespace gantry::gc
