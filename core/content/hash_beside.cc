// SPDX-License-Identifier: Apache-2.0
#include "core/content/hash_beside.h"

#include "core/base/mutex.h"

namespace gantry::content {
namespace {

constexpr size_t kWorthAThread = 128 << 10;

}  // namespace

struct HashBeside::Job {
  // Runs once, by whoever comes first; false for the other.
  bool Run() {
    {
      base::MutexLock lock(mutex);
      if (begun) return false;
      begun = true;
    }
    hasher.Update(bytes);
    {
      base::MutexLock lock(mutex);
      done = true;
    }
    changed.NotifyAll();
    return true;
  }

  void Wait() {
    base::MutexLock lock(mutex);
    while (!done) changed.Wait(mutex);
  }

  Hasher& hasher;
  const std::string_view bytes;
  base::Mutex mutex = {};
  base::CondVar changed = {};
  bool begun ABSL_GUARDED_BY(mutex) = false;
  bool done ABSL_GUARDED_BY(mutex) = false;
};

HashBeside::HashBeside(base::WorkerPool& pool, Hasher& hasher, std::string_view bytes)
    : job_(new Job{.hasher = hasher, .bytes = bytes}) {
  if (bytes.size() < kWorthAThread) return;
  // A full pool only means that the destructor does it all.
  static_cast<void>(pool.TryPost([job = job_] { job->Run(); }));
}

HashBeside::~HashBeside() {
  if (!job_->Run()) job_->Wait();
}

}  // namespace gantry::content
