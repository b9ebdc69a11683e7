// SPDX-License-Identifier: Apache-2.0
// Opening, closing, and the calls that ask about one snapshot or several.
#include "snapshotters/proxy/proxy_snapshotter.h"

#include <atomic>
#include <utility>

#include "core/log/log.h"
#include "core/snapshots/announce.h"
#include "snapshotters/proxy/operation.h"

namespace gantry::proxy {

using snapshots::Done;
using snapshots::DoneStatus;
using snapshots::Info;
using snapshots::Intent;
using snapshots::Kind;
using snapshots::ListPage;
using snapshots::ListRequest;
using snapshots::Snapshot;
using snapshots::Usage;

namespace {

// Threads for the steps on the database, and what may wait for them: more than calls can be.
constexpr size_t kThreads = 2;
constexpr size_t kMaxQueued = 8192;

// What the other process says of a snapshot, under what is recorded of it.
Info Merge(const Snapshot& snapshot, Info backend) {
  Info info = snapshot.info;
  info.kind = backend.kind;
  info.labels.merge(backend.labels);  // The recorded ones win.
  return info;
}

}  // namespace

ProxySnapshotter::ProxySnapshotter(metadata::Metadata& metadata, events::Publisher& publisher,
                                   std::string name, Options options)
    : publisher_(publisher),
      options_(std::move(options)),
      records_(metadata, std::move(name)),
      pool_("proxy-" + records_.snapshotter(), kThreads, kMaxQueued),
      admission_(options_.max_calls),
      holds_([this](absl::AnyInvocable<void()> work) { Post(std::move(work)); }, options_.patience),
      client_(options_.address, records_.snapshotter(), options_.budgets),
      settler_(
          client_, records_, holds_, admission_,
          [this](absl::AnyInvocable<void()> work) { Post(std::move(work)); },
          [this](const Intent& intent) {
            const absl::Status announced = snapshots::AnnounceCommit(
                publisher_, {.ns = intent.ns}, this->name(), intent.key, intent.name);
            if (!announced.ok())
              log::Warn("cannot announce a commit",
                        {{"snapshot", intent.name}, {"error", announced}});
          },
          options_.settling) {}

absl::StatusOr<std::unique_ptr<ProxySnapshotter>> ProxySnapshotter::Open(
    metadata::Metadata& metadata, events::Publisher& publisher, std::string name, Options options) {
  auto snapshotter = std::unique_ptr<ProxySnapshotter>(
      new ProxySnapshotter(metadata, publisher, std::move(name), std::move(options)));
  ASSIGN_OR_RETURN(const std::vector<Intent> intents, snapshotter->records_.Intents());
  for (const Intent& intent : intents) snapshotter->settler_.Add(intent, /*answered=*/false);
  return snapshotter;
}

ProxySnapshotter::~ProxySnapshotter() {
  client_.CancelAll();
  holds_.Close();
  admission_.Close();
}

void ProxySnapshotter::Post(absl::AnyInvocable<void()> work) {
  // Shared, so that it is still at hand if the pool refuses.
  auto shared = std::make_shared<absl::AnyInvocable<void()>>(std::move(work));
  if (!pool_.TryPost([shared] { (*shared)(); })) (*shared)();
}

absl::Status ProxySnapshotter::CheckRoom() const {
  if (!client_.MayBeReachable()) return Unavailable("snapshotter {} cannot be reached", name());
  if (settler_.pending() < options_.max_unsettled) return absl::OkStatus();
  return Unavailable("snapshotter {} has left too many steps unanswered", name());
}

void ProxySnapshotter::Stat(const Context& ctx, std::string key, Done<Info> done) {
  BeginOn(ctx, key, std::move(done), [this](Ptr<Done<Info>> operation, Snapshot snapshot) {
    client_.Stat(
        operation->ctx, snapshot.backend_key,
        [this, operation, snapshot](absl::StatusOr<Info> info) {
          if (info.ok()) info = Merge(snapshot, *std::move(info));
          Post([operation, info = std::move(info)]() mutable { operation->End(std::move(info)); });
        });
  });
}

void ProxySnapshotter::GetUsage(const Context& ctx, std::string key, Done<Usage> done) {
  BeginOn(ctx, key, std::move(done), [this](Ptr<Done<Usage>> operation, Snapshot snapshot) {
    client_.GetUsage(operation->ctx, snapshot.backend_key,
                     [this, operation](absl::StatusOr<Usage> usage) {
                       Post([operation, usage] { operation->End(usage); });
                     });
  });
}

void ProxySnapshotter::Mounts(const Context& ctx, std::string key, Done<mount::Mounts> done) {
  BeginOn(ctx, key, std::move(done),
          [this, key](Ptr<Done<mount::Mounts>> operation, Snapshot snapshot) {
            if (snapshot.info.kind == Kind::kCommitted) {
              return operation->End(
                  FailedPrecondition("snapshot {} is committed and has no mounts", key));
            }
            client_.Mounts(operation->ctx, snapshot.backend_key,
                           [this, operation](absl::StatusOr<mount::Mounts> mounts) {
                             Post([operation, mounts] { operation->End(mounts); });
                           });
          });
}

void ProxySnapshotter::Update(const Context& ctx, Info info, metadata::FieldMask mask,
                              Done<Info> done) {
  const std::string key = info.name;
  BeginOn(
      ctx, key, std::move(done),
      [this, info = std::move(info), mask = std::move(mask)](Ptr<Done<Info>> operation, Snapshot) {
        const absl::StatusOr<Snapshot> planned = records_.PlanUpdate(operation->ctx, info, mask);
        if (!planned.ok()) return operation->End(planned.status());
        // The other process first: labels that are recorded are labels that it has.
        client_.Update(
            operation->ctx, planned->backend_key, snapshots::InheritedLabels(planned->info.labels),
            mask, [this, operation, info, mask](absl::StatusOr<Info> updated) {
              Post([this, operation, info, mask, updated = std::move(updated)]() mutable {
                if (!updated.ok()) return operation->End(std::move(updated));
                const absl::StatusOr<Snapshot> recorded =
                    records_.Update(operation->ctx, info, mask);
                if (!recorded.ok()) return operation->End(recorded.status());
                operation->End(Merge(*recorded, *std::move(updated)));
              });
            });
      });
}

void ProxySnapshotter::Remove(const Context& ctx, std::string key, DoneStatus done) {
  if (const absl::Status valid = snapshots::CheckKey("snapshot key", key); !valid.ok())
    return std::move(done)(valid);
  Begin(ctx, {{.key = {ctx.ns, key}, .how = KeyHolds::Want::How::kFree}}, std::move(done),
        [this, key](Ptr<DoneStatus> operation) {
          absl::Status removed = records_.Remove(operation->ctx, key);
          if (removed.ok())
            removed = snapshots::AnnounceRemove(publisher_, operation->ctx, name(), key);
          operation->End(std::move(removed));
        });
}

// One page in the making. Records are read some at a time and asked for all at once; what does not
// match makes room for the next.
struct ProxySnapshotter::Listing {
  Ptr<Done<ListPage>> operation;
  ListRequest request;
  ListPage page;
  std::vector<Snapshot> records;
  std::vector<absl::StatusOr<Info>> answers;
  std::atomic<size_t> missing = 0;
  bool last = false;
};

void ProxySnapshotter::List(const Context& ctx, ListRequest request, Done<ListPage> done) {
  Begin(ctx, {}, std::move(done),
        [this, request = std::move(request)](Ptr<Done<ListPage>> operation) mutable {
          auto listing = std::make_shared<Listing>();
          listing->operation = std::move(operation);
          listing->request = std::move(request);
          ListOn(std::move(listing));
        });
}

void ProxySnapshotter::ListOn(std::shared_ptr<Listing> listing) {
  const size_t room = listing->request.limit - listing->page.infos.size();
  absl::StatusOr<std::vector<Snapshot>> records =
      records_.Page(listing->operation->ctx, listing->request.after, room);
  if (!records.ok()) return listing->operation->End(records.status());
  listing->records = *std::move(records);
  const size_t count = listing->records.size();
  listing->last = count < room;
  if (count == 0) return FinishList(std::move(listing));
  listing->request.after = listing->records.back().info.name;
  listing->answers.assign(count, absl::UnknownError("not asked"));
  listing->missing = count;
  for (size_t i = 0; i < count; ++i) {
    client_.Stat(listing->operation->ctx, listing->records[i].backend_key,
                 [this, listing, i](absl::StatusOr<Info> info) {
                   listing->answers[i] = std::move(info);
                   if (--listing->missing == 0) Post([this, listing] { FinishList(listing); });
                 });
  }
}

void ProxySnapshotter::FinishList(std::shared_ptr<Listing> listing) {
  for (size_t i = 0; i < listing->records.size(); ++i) {
    absl::StatusOr<Info>& answer = listing->answers[i];
    if (absl::IsNotFound(answer.status())) continue;  // Gone over there.
    if (!answer.ok()) return listing->operation->End(answer.status());
    Info info = Merge(listing->records[i], *std::move(answer));
    if (!listing->request.match || listing->request.match(info))
      listing->page.infos.push_back(std::move(info));
  }
  if (!listing->last && listing->page.infos.size() < listing->request.limit)
    return ListOn(std::move(listing));
  if (!listing->last) listing->page.next = listing->request.after;
  listing->operation->End(std::move(listing->page));
}

}  // namespace gantry::proxy
