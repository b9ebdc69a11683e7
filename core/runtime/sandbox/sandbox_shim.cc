// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/sandbox/sandbox_shim.h"

#include <utility>

namespace gantry::runtime {

bool SandboxShim::Move(Phase from, Phase to) {
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    if (phase_ != from) return false;
    phase_ = to;
    if (from == Phase::kEnding) calls.swap(after_ending_);
  }
  Make(std::move(calls));
  return true;
}

void SandboxShim::Make(Calls calls) {
  for (Later& call : calls) {
    if (call.waiting()) call.then();
  }
}

void SandboxShim::AfterEnding(std::function<bool()> waiting, absl::AnyInvocable<void()> then) {
  {
    base::MutexLock lock(mutex_);
    if (phase_ == Phase::kEnding && !gone_) {
      std::erase_if(after_ending_, [](const Later& call) { return !call.waiting(); });
      after_ending_.push_back({.waiting = std::move(waiting), .then = std::move(then)});
      return;
    }
  }
  if (waiting()) then();
}

void SandboxShim::Gone() {
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    gone_ = true;
    calls.swap(after_ending_);
  }
  Make(std::move(calls));
}

absl::StatusOr<bool> SandboxShim::AddWaiting(Waiting caller) {
  base::MutexLock lock(mutex_);
  std::erase_if(waiting_, [](const Waiting& waiting) { return !waiting->waiting(); });
  if (waiting_.size() >= kMaxWaiting) {
    return ResourceExhausted("too many wait for the end of sandbox {:?}", id());
  }
  waiting_.push_back(std::move(caller));
  return !std::exchange(asked_for_end_, true);
}

std::vector<SandboxShim::Waiting> SandboxShim::TakeWaiting() {
  base::MutexLock lock(mutex_);
  asked_for_end_ = false;
  return std::exchange(waiting_, {});
}

std::shared_ptr<SandboxShim> SandboxTable::Find(const std::string& ns,
                                                const std::string& id) const {
  base::MutexLock lock(mutex_);
  const auto found = sandboxes_.find({ns, id});
  return found == sandboxes_.end() ? nullptr : found->second;
}

absl::StatusOr<std::shared_ptr<SandboxShim>> SandboxTable::Reserve(const Bundle& bundle,
                                                                   SandboxShim::Phase phase) {
  auto sandbox = std::make_shared<SandboxShim>(bundle, phase);
  base::MutexLock lock(mutex_);
  if (!sandboxes_.emplace(Key(bundle.ns(), bundle.id()), sandbox).second) {
    return AlreadyExists("sandbox {:?}", bundle.id());
  }
  return sandbox;
}

void SandboxTable::Erase(SandboxShim& sandbox) {
  {
    base::MutexLock lock(mutex_);
    const auto found = sandboxes_.find({sandbox.ns(), sandbox.id()});
    if (found != sandboxes_.end() && found->second.get() == &sandbox) sandboxes_.erase(found);
  }
  sandbox.Gone();
}

}  // namespace gantry::runtime
