// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/snapshots/intent.h"
#include "snapshotters/proxy/admission.h"
#include "snapshotters/proxy/client.h"
#include "snapshotters/proxy/key_holds.h"
#include "snapshotters/proxy/records.h"

namespace gantry::proxy {

// Finds out what became of steps whose answer never came, because the connection broke, time was up
// or the daemon died, and brings both sides in line: a creation is undone, a commit is carried to
// its end. Tries until it knows; whoever asks for the keys of a commit waits meanwhile.
//
// Ownership: borrows everything it is given.
// Threads:   all methods from any thread. Has a thread of its own to keep time, which never blocks
//            on the other process.
class Settler {
 public:
  struct Options {
    absl::Duration first_pause = absl::Milliseconds(100);  // between tries, doubling up to …
    absl::Duration longest_pause = absl::Seconds(30);
    // So long after it began, a creation may still be under way at the other process although that
    // does not know the snapshot yet.
    absl::Duration grace = absl::Minutes(15);
  };
  using Post = KeyHolds::Post;
  // Called with each commit that was carried to its end.
  using Committed = std::function<void(const snapshots::Intent&)>;

  Settler(ProxyClient& client, Records& records, KeyHolds& holds, Admission& admission, Post post,
          Committed committed, Options options);
  ~Settler();
  Settler(const Settler&) = delete;
  Settler& operator=(const Settler&) = delete;

  // `answered`: the other process has spoken, so what it does not know now does not exist.
  void Add(const snapshots::Intent& intent, bool answered);
  size_t pending() const;

 private:
  struct Entry {
    snapshots::Intent intent;
    bool answered = false;
    bool running = false;
    absl::Time next;
    absl::Duration pause;
  };
  // One try, from its first question to its verdict; a retry is planned if it ends without one.
  struct Try;
  using TryPtr = std::shared_ptr<Try>;

  void Loop(std::stop_token stop);
  std::vector<TryPtr> TakeDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Start(TryPtr attempt);
  void UndoCreate(TryPtr attempt);
  void AskForName(TryPtr attempt);
  void AskForKey(TryPtr attempt);
  void CommitAgain(TryPtr attempt);
  void Record(TryPtr attempt);
  void Drop(TryPtr attempt, std::string_view why);
  void Retry(const snapshots::Intent& intent);
  void Settled(const snapshots::Intent& intent);

  ProxyClient& client_;
  Records& records_;
  KeyHolds& holds_;
  Admission& admission_;
  const Post post_;
  const Committed committed_;
  const Options options_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);  // by Intent::id()
  std::jthread thread_;
};

// The keys that nobody may touch until the outcome of a commit is known; none for a creation, whose
// key anybody may try again.
std::vector<KeyHolds::Key> KeysOf(const snapshots::Intent& intent);

// Whether a failed call certainly did nothing, and will not.
bool IsRefusal(const absl::Status& status);
// Whether the other process spoke, or it was we who gave up.
bool IsAnswer(const absl::Status& status);

}  // namespace gantry::proxy
