// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/proxy/settler.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "core/log/log.h"

namespace gantry::proxy {

using snapshots::Info;
using snapshots::Intent;

namespace {
// How often waiters for keys are looked at, so that cancelled ones go.
constexpr absl::Duration kTick = absl::Seconds(1);
}  // namespace

std::vector<KeyHolds::Key> KeysOf(const Intent& intent) {
  if (intent.action == Intent::Action::kCreate) return {};
  return {{intent.ns, intent.key}, {intent.ns, intent.name}};
}

bool IsRefusal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return true;
    default:
      return false;
  }
}

bool IsAnswer(const absl::Status& status) {
  return !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status) &&
         !absl::IsCancelled(status);
}

struct Settler::Try {
  Try(Settler& owner, Entry entry, std::unique_ptr<Admission::Permit> permit)
      : settler(owner), entry(std::move(entry)), permit(std::move(permit)) {}
  ~Try() {
    if (!decided) settler.Retry(entry.intent);
  }
  Try(const Try&) = delete;
  Try& operator=(const Try&) = delete;

  Context ctx() const { return {.ns = entry.intent.ns}; }

  Settler& settler;
  const Entry entry;
  bool decided = false;
  const std::unique_ptr<Admission::Permit> permit;  // While it lives, so does the settler.
};

Settler::Settler(ProxyClient& client, Records& records, KeyHolds& holds, Admission& admission,
                 Post post, Committed committed, Options options)
    : client_(client),
      records_(records),
      holds_(holds),
      admission_(admission),
      post_(std::move(post)),
      committed_(std::move(committed)),
      options_(options) {
  thread_ = std::jthread([this](std::stop_token stop) {
    ::pthread_setname_np(::pthread_self(), "proxy-settler");
    Loop(std::move(stop));
  });
}

Settler::~Settler() {
  thread_.request_stop();
  {
    // Whoever has the lock and has not seen the request yet is about to wait.
    base::MutexLock lock(mutex_);
  }
  changed_.NotifyAll();
  thread_.join();
}

void Settler::Add(const Intent& intent, bool answered) {
  holds_.MarkUnsettled(KeysOf(intent));
  {
    base::MutexLock lock(mutex_);
    entries_.insert_or_assign(intent.id(), Entry{.intent = intent,
                                                 .answered = answered,
                                                 .next = absl::Now(),
                                                 .pause = options_.first_pause});
  }
  changed_.NotifyAll();
}

size_t Settler::pending() const {
  base::MutexLock lock(mutex_);
  return entries_.size();
}

void Settler::Loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    std::vector<TryPtr> due;
    {
      base::MutexLock lock(mutex_);
      absl::Time next = absl::Now() + kTick;
      for (const auto& [id, entry] : entries_) {
        if (!entry.running) next = std::min(next, entry.next);
      }
      if (next > absl::Now() && !stop.stop_requested()) changed_.WaitUntil(mutex_, next);
      due = TakeDue();
    }
    for (TryPtr& attempt : due) {
      post_([this, attempt = std::move(attempt)]() mutable { Start(std::move(attempt)); });
    }
    holds_.Expire();
  }
}

std::vector<Settler::TryPtr> Settler::TakeDue() {
  std::vector<TryPtr> due;
  for (auto& [id, entry] : entries_) {
    if (entry.running || entry.next > absl::Now()) continue;
    auto permit = admission_.Enter();
    if (!permit.ok()) {
      entry.next = absl::Now() + kTick;
      continue;
    }
    entry.running = true;
    due.push_back(std::make_shared<Try>(*this, entry, *std::move(permit)));
  }
  return due;
}

void Settler::Start(TryPtr attempt) {
  if (attempt->entry.intent.action == Intent::Action::kCreate) {
    UndoCreate(std::move(attempt));
  } else {
    AskForName(std::move(attempt));
  }
}

void Settler::UndoCreate(TryPtr attempt) {
  const Intent& intent = attempt->entry.intent;
  client_.Remove(attempt->ctx(), intent.backend_key, [this, attempt](absl::Status removed) {
    post_([this, attempt, removed] {
      const bool final = attempt->entry.answered ||
                         absl::Now() > attempt->entry.intent.created_at + options_.grace;
      if (removed.ok() || (absl::IsNotFound(removed) && final)) Drop(attempt, "undone");
    });
  });
}

void Settler::AskForName(TryPtr attempt) {
  const Intent& intent = attempt->entry.intent;
  client_.Stat(attempt->ctx(), intent.backend_name, [this, attempt](absl::StatusOr<Info> info) {
    post_([this, attempt, status = info.status()] {
      if (status.ok()) {
        Record(attempt);
      } else if (absl::IsNotFound(status)) {
        AskForKey(attempt);
      }
    });
  });
}

void Settler::AskForKey(TryPtr attempt) {
  const Intent& intent = attempt->entry.intent;
  client_.Stat(attempt->ctx(), intent.backend_key, [this, attempt](absl::StatusOr<Info> info) {
    post_([this, attempt, status = info.status()] {
      if (status.ok()) {
        CommitAgain(attempt);
      } else if (absl::IsNotFound(status)) {
        Drop(attempt, "the snapshotter knows neither snapshot");
      }
    });
  });
}

void Settler::CommitAgain(TryPtr attempt) {
  const Intent& intent = attempt->entry.intent;
  const absl::StatusOr<std::string> parent = records_.BackendParent(intent);
  if (!parent.ok()) return Drop(attempt, "its new parent is gone");
  client_.Commit(attempt->ctx(),
                 {.name = intent.backend_name,
                  .key = intent.backend_key,
                  .labels = snapshots::InheritedLabels(intent.labels),
                  .parent = *parent},
                 [this, attempt](absl::Status committed) {
                   post_([this, attempt, committed] {
                     if (committed.ok()) return Record(attempt);
                     // These two may tell that the first call came through meanwhile.
                     if (absl::IsNotFound(committed) || absl::IsAlreadyExists(committed)) return;
                     if (IsRefusal(committed)) Drop(attempt, std::string(committed.message()));
                   });
                 });
}

void Settler::Record(TryPtr attempt) {
  const Intent& intent = attempt->entry.intent;
  const absl::Status recorded = records_.RecordCommitted({}, intent, /*late=*/true);
  if (!recorded.ok() && !absl::IsNotFound(recorded)) {
    log::Warn(
        "cannot record a commit yet",
        {{"snapshotter", records_.snapshotter()}, {"snapshot", intent.name}, {"error", recorded}});
    return;
  }
  attempt->decided = true;
  // Told before the keys are let go: whoever waits for them has then heard of the commit.
  if (recorded.ok()) committed_(intent);
  Settled(intent);
}

void Settler::Drop(TryPtr attempt, std::string_view why) {
  const Intent& intent = attempt->entry.intent;
  if (const absl::Status dropped = records_.Drop(intent); !dropped.ok()) {
    log::Warn(
        "cannot forget a step yet",
        {{"snapshotter", records_.snapshotter()}, {"snapshot", intent.key}, {"error", dropped}});
    return;
  }
  log::Info("unfinished step settled", {{"snapshotter", records_.snapshotter()},
                                        {"ns", intent.ns},
                                        {"snapshot", intent.key},
                                        {"outcome", why}});
  attempt->decided = true;
  Settled(intent);
}

void Settler::Retry(const Intent& intent) {
  base::MutexLock lock(mutex_);
  const auto found = entries_.find(intent.id());
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.running = false;
  entry.next = absl::Now() + entry.pause;
  entry.pause = std::min(entry.pause * 2, options_.longest_pause);
}

void Settler::Settled(const Intent& intent) {
  {
    base::MutexLock lock(mutex_);
    entries_.erase(intent.id());
  }
  holds_.Release(KeysOf(intent));
}

}  // namespace gantry::proxy
