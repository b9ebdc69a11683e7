// SPDX-License-Identifier: Apache-2.0
// Prepare, View and Commit: an intent, the other process's answer, the outcome.
#include <utility>

#include "core/log/log.h"
#include "core/snapshots/announce.h"
#include "snapshotters/proxy/operation.h"

namespace gantry::proxy {

using snapshots::CommitRequest;
using snapshots::Done;
using snapshots::DoneStatus;
using snapshots::Info;
using snapshots::Kind;
using snapshots::PrepareRequest;
using How = KeyHolds::Want::How;

struct ProxySnapshotter::Creation {
  Ptr<Done<mount::Mounts>> operation;
  Kind kind = Kind::kActive;
  PrepareRequest request;
  Records::Step step;
};

// The keys of a commit under way are this object's to release, unless nobody knows its outcome.
struct ProxySnapshotter::Commission {
  Commission(KeyHolds& holds, Ptr<DoneStatus> operation, CommitRequest request)
      : holds(holds), operation(std::move(operation)), request(std::move(request)) {}
  ~Commission() {
    if (holds_keys) {
      holds.Release({{operation->ctx.ns, request.key}, {operation->ctx.ns, request.name}});
    }
  }
  Commission(const Commission&) = delete;
  Commission& operator=(const Commission&) = delete;

  KeyHolds& holds;
  const Ptr<DoneStatus> operation;
  const CommitRequest request;
  Records::Step step;
  bool holds_keys = true;
};

void ProxySnapshotter::Prepare(const Context& ctx, PrepareRequest request,
                               Done<mount::Mounts> done) {
  Create(ctx, Kind::kActive, std::move(request), std::move(done));
}

void ProxySnapshotter::View(const Context& ctx, PrepareRequest request, Done<mount::Mounts> done) {
  Create(ctx, Kind::kView, std::move(request), std::move(done));
}

void ProxySnapshotter::Create(const Context& ctx, Kind kind, PrepareRequest request,
                              Done<mount::Mounts> done) {
  if (const absl::Status valid = snapshots::CheckRequest(request); !valid.ok())
    return std::move(done)(valid);
  std::vector<KeyHolds::Want> wants = {{.key = {ctx.ns, request.key}, .how = How::kFree}};
  if (const std::string target(snapshots::TargetOf(request.labels)); !target.empty())
    wants.push_back({.key = {ctx.ns, target}, .how = How::kFree});
  if (!request.parent.empty()) wants.push_back({.key = {ctx.ns, request.parent}});
  Begin(ctx, std::move(wants), std::move(done),
        [this, kind, request = std::move(request)](Ptr<Done<mount::Mounts>> operation) mutable {
          AskToCreate(std::make_shared<Creation>(Creation{
              .operation = std::move(operation), .kind = kind, .request = std::move(request)}));
        });
}

void ProxySnapshotter::AskToCreate(std::shared_ptr<Creation> creation) {
  const auto& operation = creation->operation;
  if (const absl::Status room = CheckRoom(); !room.ok()) return operation->End(room);
  absl::StatusOr<Records::Step> step = records_.BeginCreate(operation->ctx, creation->request);
  if (!step.ok()) return operation->End(step.status());
  creation->step = *std::move(step);
  const PrepareRequest asked{.key = creation->step.intent.backend_key,
                             .parent = creation->step.backend_parent,
                             .labels = snapshots::InheritedLabels(creation->request.labels)};
  auto answered = [this, creation](absl::StatusOr<mount::Mounts> made) {
    Post([this, creation, made = std::move(made)]() mutable {
      FinishCreate(creation, std::move(made));
    });
  };
  if (creation->kind == Kind::kActive) {
    client_.Prepare(operation->ctx, asked, std::move(answered));
  } else {
    client_.View(operation->ctx, asked, std::move(answered));
  }
}

void ProxySnapshotter::FinishCreate(std::shared_ptr<Creation> creation,
                                    absl::StatusOr<mount::Mounts> made) {
  const auto& operation = creation->operation;
  if (!made.ok()) return FinishRefused(std::move(creation), made.status());
  if (const absl::Status recorded =
          records_.RecordCreated(operation->ctx, creation->step, creation->kind);
      !recorded.ok()) {
    settler_.Add(creation->step.intent, /*answered=*/true);
    return operation->End(recorded);
  }
  if (creation->kind == Kind::kActive) {
    if (const absl::Status announced = snapshots::AnnouncePrepare(
            publisher_, operation->ctx, name(), creation->request.key, creation->request.parent);
        !announced.ok())
      return operation->End(announced);
  }
  operation->End(std::move(made));
}

void ProxySnapshotter::FinishRefused(std::shared_ptr<Creation> creation,
                                     const absl::Status& refusal) {
  const auto& operation = creation->operation;
  const bool exists = absl::IsAlreadyExists(refusal);
  if (exists && !snapshots::TargetOf(creation->request.labels).empty())
    return Adopt(std::move(creation));
  if (!IsRefusal(refusal)) {
    settler_.Add(creation->step.intent, IsAnswer(refusal));
    return operation->End(refusal);
  }
  if (const absl::Status dropped = records_.Drop(creation->step.intent); !dropped.ok())
    settler_.Add(creation->step.intent, /*answered=*/true);
  // The backend key is new, so this is no answer that a client could do anything with.
  if (exists) {
    return operation->End(
        Unknown("unexpected error from snapshotter: {}", std::string(refusal.message())));
  }
  operation->End(refusal);
}

void ProxySnapshotter::Adopt(std::shared_ptr<Creation> creation) {
  const std::string target(snapshots::TargetOf(creation->request.labels));
  client_.FindTarget(creation->operation->ctx, target, creation->step.backend_parent,
                     [this, creation](absl::StatusOr<Info> found) {
                       Post([this, creation, found = std::move(found)]() mutable {
                         FinishAdopt(creation, std::move(found));
                       });
                     });
}

void ProxySnapshotter::FinishAdopt(std::shared_ptr<Creation> creation, absl::StatusOr<Info> found) {
  const auto& operation = creation->operation;
  absl::Status outcome = found.status();
  if (found.ok()) {
    bool free = false;
    {
      base::MutexLock lock(mutex_);
      free = busy_.insert(found->name).second;
    }
    if (free) {
      outcome = records_.RecordAdopted(operation->ctx, creation->step, *found);
      base::MutexLock lock(mutex_);
      busy_.erase(found->name);
    } else {
      outcome = NotFound("target snapshot {:?}: it is being removed", found->name);
    }
  }
  if (!absl::IsAlreadyExists(outcome)) {
    // Nothing was made under our key.
    if (const absl::Status dropped = records_.Drop(creation->step.intent); !dropped.ok())
      settler_.Add(creation->step.intent, /*answered=*/true);
  }
  operation->End(std::move(outcome));
}

void ProxySnapshotter::Commit(const Context& ctx, CommitRequest request, DoneStatus done) {
  if (const absl::Status valid = snapshots::CheckRequest(request); !valid.ok())
    return std::move(done)(valid);
  std::vector<KeyHolds::Want> wants = {{.key = {ctx.ns, request.key}, .how = How::kHold},
                                       {.key = {ctx.ns, request.name}, .how = How::kHold}};
  if (!request.parent.empty()) wants.push_back({.key = {ctx.ns, request.parent}});
  Begin(
      ctx, std::move(wants), std::move(done),
      [this, request = std::move(request)](Ptr<DoneStatus> operation) mutable {
        AskToCommit(std::make_shared<Commission>(holds_, std::move(operation), std::move(request)));
      });
}

void ProxySnapshotter::AskToCommit(std::shared_ptr<Commission> commission) {
  const auto& operation = commission->operation;
  if (const absl::Status room = CheckRoom(); !room.ok()) return operation->End(room);
  absl::StatusOr<Records::Step> step = records_.BeginCommit(operation->ctx, commission->request);
  if (!step.ok()) return operation->End(step.status());
  commission->step = *std::move(step);
  client_.Commit(operation->ctx,
                 {.name = commission->step.intent.backend_name,
                  .key = commission->step.intent.backend_key,
                  .labels = snapshots::InheritedLabels(commission->request.labels),
                  .parent = commission->step.backend_parent},
                 [this, commission](absl::Status committed) {
                   Post([this, commission, committed] { FinishCommit(commission, committed); });
                 });
}

void ProxySnapshotter::FinishCommit(std::shared_ptr<Commission> commission,
                                    const absl::Status& committed) {
  const auto& operation = commission->operation;
  const snapshots::Intent& intent = commission->step.intent;
  absl::Status outcome = committed;
  bool known = false;
  if (committed.ok()) {
    // It is done over there; a caller that went away changes nothing about that.
    outcome = records_.RecordCommitted(operation->ctx.Detached(), intent, /*late=*/false);
    known = outcome.ok() || absl::IsNotFound(outcome);
  } else if (absl::IsAlreadyExists(committed)) {
    // The backend name is new, so this is no answer that a client could do anything with.
    outcome = Unknown("unexpected error from snapshotter: {}", std::string(committed.message()));
  } else if (IsRefusal(committed)) {
    known = records_.Drop(intent).ok();
  }
  if (!known) {
    commission->holds_keys = false;
    settler_.Add(intent, IsAnswer(committed));
  }
  if (outcome.ok()) {
    outcome = snapshots::AnnounceCommit(publisher_, operation->ctx, name(), commission->request.key,
                                        commission->request.name);
  }
  operation->End(std::move(outcome));
}

}  // namespace gantry::proxy
