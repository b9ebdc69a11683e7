// SPDX-License-Identifier: Apache-2.0
// Who holds which ref and which digest right now. In memory only: it dies with the daemon, as
// writers do.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/digest/digest.h"

namespace gantry::content {

// One writer per ref. Threads: any.
class RefLocks {
 public:
  // Frees the ref when it goes. Outlived by the locks.
  class Held {
   public:
    Held(RefLocks* locks, std::string ref) : locks_(locks), ref_(std::move(ref)) {}
    Held(Held&& other) noexcept
        : locks_(std::exchange(other.locks_, nullptr)), ref_(std::move(other.ref_)) {}
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (locks_ != nullptr) locks_->Release(ref_);
    }

   private:
    RefLocks* locks_;
    std::string ref_;
  };

  // Unavailable, with the age of the lock, when somebody else holds it.
  absl::StatusOr<Held> TryLock(const std::string& ref) { return Lock(ref, absl::InfinitePast()); }

  // As TryLock, but waits until `deadline` for the other to go.
  absl::StatusOr<Held> Lock(const std::string& ref, absl::Time deadline) {
    base::MutexLock lock(mutex_);
    while (since_.contains(ref) && absl::Now() < deadline) released_.WaitUntil(mutex_, deadline);
    const auto [held, fresh] = since_.try_emplace(ref, absl::Now());
    if (fresh) return Held(this, ref);
    return Unavailable("ref {} locked for {} (since {})", ref,
                       absl::FormatDuration(absl::Now() - held->second),
                       absl::FormatTime(held->second));
  }

 private:
  void Release(const std::string& ref) {
    base::MutexLock lock(mutex_);
    since_.erase(ref);
    released_.NotifyAll();
  }

  base::Mutex mutex_;
  base::CondVar released_;
  std::map<std::string, absl::Time> since_ ABSL_GUARDED_BY(mutex_);
};

// Keeps a blob's file from being collected between its arrival and its record, and a record from
// being made while its file is being deleted. Threads: any.
class DigestUses {
 public:
  class Use {
   public:
    Use(DigestUses* uses, Digest digest) : uses_(uses), digest_(std::move(digest)) {}
    Use(Use&& other) noexcept
        : uses_(std::exchange(other.uses_, nullptr)), digest_(std::move(other.digest_)) {}
    Use& operator=(Use&&) = delete;
    ~Use() {
      if (uses_ != nullptr) uses_->Release(digest_);
    }

   private:
    DigestUses* uses_;
    Digest digest_;
  };

  // Waits only while the file of this very digest is being unlinked.
  Use Acquire(const Digest& digest) {
    base::MutexLock lock(mutex_);
    while (deleting_.contains(digest)) changed_.Wait(mutex_);
    ++users_[digest];
    return {this, digest};
  }

  // Runs `unlink` unless the digest is in use. True if it ran.
  template <typename Unlink>
  bool DeleteUnused(const Digest& digest, Unlink unlink) {
    {
      base::MutexLock lock(mutex_);
      if (users_.contains(digest)) return false;
      deleting_.insert(digest);
    }
    unlink();
    base::MutexLock lock(mutex_);
    deleting_.erase(digest);
    changed_.NotifyAll();
    return true;
  }

 private:
  void Release(const Digest& digest) {
    base::MutexLock lock(mutex_);
    if (const auto users = users_.find(digest); --users->second == 0) users_.erase(users);
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  std::map<Digest, int> users_ ABSL_GUARDED_BY(mutex_);
  std::set<Digest> deleting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::content
