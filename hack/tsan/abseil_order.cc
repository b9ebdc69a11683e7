// SPDX-License-Identifier: Apache-2.0
// These stand before the library's own functions, for our calls and for those of other libraries.
// What they order the library orders by atomics and futexes, which ThreadSanitizer does not see,
// since Debian builds Abseil without it.
#include <cstdint>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "hack/tsan/library.h"

using gantry::tsan::Library;

// Whoever gives up a share of a status has used it before the one who gives up the last share frees
// it.
void absl::Status::UnrefNonInlined(uintptr_t rep) {
  static const auto library =
      Library<void(uintptr_t)>("_ZN4absl7debian36Status15UnrefNonInlinedEm");
  gantry::tsan::Order(reinterpret_cast<void*>(rep));
  library(rep);
}

void absl::Mutex::Lock() {
  static const auto library = Library<void(Mutex*)>("_ZN4absl7debian35Mutex4LockEv");
  library(this);
  __tsan_acquire(this);
}

bool absl::Mutex::TryLock() {
  static const auto library = Library<bool(Mutex*)>("_ZN4absl7debian35Mutex7TryLockEv");
  const bool locked = library(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void absl::Mutex::Unlock() {
  static const auto library = Library<void(Mutex*)>("_ZN4absl7debian35Mutex6UnlockEv");
  __tsan_release(this);
  library(this);
}

void absl::CondVar::Wait(Mutex* mutex) {
  static const auto library =
      Library<void(CondVar*, Mutex*)>("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  __tsan_release(mutex);
  library(this, mutex);
  __tsan_acquire(mutex);
}

bool absl::CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto library = Library<bool(CondVar*, Mutex*, Duration)>(
      "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  __tsan_release(mutex);
  const bool timed_out = library(this, mutex, timeout);
  __tsan_acquire(mutex);
  return timed_out;
}

bool absl::CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static const auto library = Library<bool(CondVar*, Mutex*, Time)>(
      "_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  __tsan_release(mutex);
  const bool timed_out = library(this, mutex, deadline);
  __tsan_acquire(mutex);
  return timed_out;
}
