// SPDX-License-Identifier: Apache-2.0
// Removing what nobody refers to any more, children before parents.
#include <algorithm>
#include <utility>

#include "core/log/log.h"
#include "snapshotters/proxy/operation.h"

namespace gantry::proxy {

using snapshots::DoneStatus;

namespace {

// After so many calls in a row without an answer the rest waits for the next time.
constexpr int kMaxUnanswered = 3;
// Removed keys that are forgotten in one transaction.
constexpr size_t kBatch = 64;

// The namespace in "<namespace>/<n>/<key>"; empty for a key that the other process chose.
std::string NamespaceOf(const std::string& backend_key) {
  const size_t slash = backend_key.find('/');
  if (slash == std::string::npos || backend_key.find('/', slash + 1) == std::string::npos)
    return {};
  return backend_key.substr(0, slash);
}

}  // namespace

struct ProxySnapshotter::Sweep {
  std::vector<Ptr<DoneStatus>> callers;  // One at least; its context counts.
  std::vector<std::string> trash;        // of this pass
  size_t next = 0;
  std::vector<std::string> again;  // had children; they may go in this pass
  std::vector<std::string> gone;
  size_t removed_in_pass = 0;
  int unanswered = 0;
  absl::Status first_error;

  const Context& ctx() const { return callers.front()->ctx; }
};

void ProxySnapshotter::Cleanup(const Context& ctx, DoneStatus done) {
  Begin(ctx, {}, std::move(done), [this](Ptr<DoneStatus> operation) {
    {
      base::MutexLock lock(mutex_);
      if (sweeping_) return sweep_callers_.push_back(std::move(operation));
      sweeping_ = true;
    }
    StartSweep({std::move(operation)});
  });
}

void ProxySnapshotter::StartSweep(std::vector<Ptr<DoneStatus>> callers) {
  auto sweep = std::make_shared<Sweep>();
  sweep->callers = std::move(callers);
  absl::StatusOr<std::vector<std::string>> trash = records_.Trash();
  if (trash.ok()) {
    sweep->trash = *std::move(trash);
  } else {
    sweep->first_error = trash.status();
  }
  SweepNext(std::move(sweep));
}

void ProxySnapshotter::SweepNext(std::shared_ptr<Sweep> sweep) {
  for (;;) {
    sweep->first_error.Update(sweep->ctx().Check());
    const bool stop = !sweep->ctx().Check().ok() || sweep->unanswered >= kMaxUnanswered;
    if (stop || (sweep->next == sweep->trash.size() &&
                 (sweep->again.empty() || sweep->removed_in_pass == 0))) {
      return FinishSweep(std::move(sweep));
    }
    if (sweep->next == sweep->trash.size()) {
      sweep->trash = std::exchange(sweep->again, {});
      sweep->next = 0;
      sweep->removed_in_pass = 0;
    }
    const std::string& backend_key = sweep->trash[sweep->next++];
    {
      base::MutexLock lock(mutex_);
      if (!busy_.insert(backend_key).second) continue;  // Being adopted.
    }
    // Adopted since the list was read?
    if (const absl::StatusOr<bool> trash = records_.IsTrash(backend_key); trash.ok() && *trash)
      return SweepOne(std::move(sweep), backend_key);
    base::MutexLock lock(mutex_);
    busy_.erase(backend_key);
  }
}

void ProxySnapshotter::SweepOne(std::shared_ptr<Sweep> sweep, const std::string& backend_key) {
  Context ctx = sweep->ctx();
  ctx.ns = NamespaceOf(backend_key);
  client_.Remove(ctx, backend_key, [this, sweep, backend_key](absl::Status removed) {
    Post([this, sweep, backend_key, removed] { FinishOne(sweep, backend_key, removed); });
  });
}

void ProxySnapshotter::FinishOne(std::shared_ptr<Sweep> sweep, const std::string& backend_key,
                                 const absl::Status& removed) {
  sweep->unanswered = IsAnswer(removed) ? 0 : sweep->unanswered + 1;
  if (removed.ok() || absl::IsNotFound(removed)) {
    ++sweep->removed_in_pass;
    sweep->gone.push_back(backend_key);
    if (sweep->gone.size() >= kBatch)
      sweep->first_error.Update(records_.RemoveTrash(std::exchange(sweep->gone, {})));
  } else if (absl::IsFailedPrecondition(removed)) {
    sweep->again.push_back(backend_key);
  } else {
    log::Warn("cannot remove a snapshot yet",
              {{"snapshotter", name()}, {"snapshot", backend_key}, {"error", removed}});
    sweep->first_error.Update(removed);
  }
  {
    base::MutexLock lock(mutex_);
    busy_.erase(backend_key);
  }
  SweepNext(std::move(sweep));
}

void ProxySnapshotter::FinishSweep(std::shared_ptr<Sweep> sweep) {
  if (!sweep->gone.empty())
    sweep->first_error.Update(records_.RemoveTrash(std::exchange(sweep->gone, {})));
  if (!sweep->again.empty()) {
    sweep->first_error.Update(
        FailedPrecondition("snapshot {} cannot be removed yet", sweep->again.front()));
  }
  // Of a process that does not answer, nothing more is asked.
  if (sweep->unanswered >= kMaxUnanswered) return EndSweep(std::move(sweep));
  client_.Cleanup(sweep->ctx(), [this, sweep](absl::Status cleaned) {
    Post([this, sweep, cleaned] {
      if (!absl::IsUnimplemented(cleaned)) sweep->first_error.Update(cleaned);
      EndSweep(sweep);
    });
  });
}

void ProxySnapshotter::EndSweep(std::shared_ptr<Sweep> sweep) {
  std::vector<Ptr<DoneStatus>> next;
  {
    base::MutexLock lock(mutex_);
    next = std::exchange(sweep_callers_, {});
    sweeping_ = !next.empty();
  }
  for (const Ptr<DoneStatus>& caller : sweep->callers) caller->End(sweep->first_error);
  if (!next.empty()) StartSweep(std::move(next));
}

}  // namespace gantry::proxy
