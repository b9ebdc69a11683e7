// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/proxy/key_holds.h"

#include "absl/time/clock.h"

namespace gantry::proxy {

bool KeyHolds::TryTake(const std::vector<Want>& wants) {
  for (const Want& want : wants) {
    const auto held = held_.find(want.key);
    if (held == held_.end()) continue;
    if (want.how != Want::How::kSettled || held->second == Held::kUnsettled) return false;
  }
  for (const Want& want : wants) {
    if (want.how == Want::How::kHold) held_.emplace(want.key, Held::kUnderWay);
  }
  return true;
}

void KeyHolds::Acquire(const Context& ctx, std::vector<Want> wants, Go go) {
  absl::Status status;
  {
    base::MutexLock lock(mutex_);
    if (closed_) {
      status = Unavailable("the snapshotter is closing");
    } else if (!TryTake(wants)) {
      waiters_.push_back({.ctx = ctx,
                          .wants = std::move(wants),
                          .until = absl::Now() + patience_,
                          .go = std::move(go)});
      return;
    }
  }
  std::move(go)(std::move(status));
}

std::vector<std::pair<KeyHolds::Go, absl::Status>> KeyHolds::TakeOut(
    absl::FunctionRef<std::optional<absl::Status>(const Waiter&)> verdict) {
  std::vector<std::pair<Go, absl::Status>> out;
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    if (std::optional<absl::Status> status = verdict(*waiter)) {
      out.emplace_back(std::move(waiter->go), *std::move(status));
      waiter = waiters_.erase(waiter);
    } else {
      ++waiter;
    }
  }
  return out;
}

void KeyHolds::LetGo(std::vector<std::pair<Go, absl::Status>> waiters) {
  for (auto& [go, status] : waiters) {
    post_([go = std::move(go), status = std::move(status)]() mutable { std::move(go)(status); });
  }
}

void KeyHolds::MarkUnsettled(const std::vector<Key>& keys) {
  base::MutexLock lock(mutex_);
  for (const Key& key : keys) held_[key] = Held::kUnsettled;
}

void KeyHolds::Release(const std::vector<Key>& keys) {
  std::vector<std::pair<Go, absl::Status>> ready;
  {
    base::MutexLock lock(mutex_);
    for (const Key& key : keys) held_.erase(key);
    for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
      if (TryTake(waiter->wants)) {
        ready.emplace_back(std::move(waiter->go), absl::OkStatus());
        waiter = waiters_.erase(waiter);
      } else {
        ++waiter;
      }
    }
  }
  LetGo(std::move(ready));
}

void KeyHolds::Expire() {
  const absl::Time now = absl::Now();
  std::vector<std::pair<Go, absl::Status>> expired;
  {
    base::MutexLock lock(mutex_);
    expired = TakeOut([now](const Waiter& waiter) -> std::optional<absl::Status> {
      if (absl::Status ended = waiter.ctx.Check(); !ended.ok()) return ended;
      if (now < waiter.until) return std::nullopt;
      return Unavailable("snapshot {}: an earlier step at the snapshotter is not over",
                         waiter.wants.front().key.key);
    });
  }
  LetGo(std::move(expired));
}

void KeyHolds::Close() {
  std::vector<std::pair<Go, absl::Status>> all;
  {
    base::MutexLock lock(mutex_);
    closed_ = true;
    all = TakeOut([](const Waiter&) -> std::optional<absl::Status> {
      return Unavailable("the snapshotter is closing");
    });
  }
  LetGo(std::move(all));
}

}  // namespace gantry::proxy
