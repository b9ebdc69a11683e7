// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/local_snapshotter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/kernel_status.h"
#include "core/kernel/file.h"
#include "core/log/log.h"
#include "core/snapshots/local_recovery.h"

namespace gantry::snapshots {
namespace {
constexpr size_t kMaxBootIdBytes = 64;

// Empty if the kernel does not tell: then power cuts are not recognized.
std::string ReadBoot(const std::string& path) {
  auto boot = kernel::ReadFile(path, kMaxBootIdBytes);
  if (boot.ok()) return *std::move(boot);
  log::Warn("cannot tell one boot of the machine from another",
            {{"path", path}, {"error", ToStatus(boot.error())}});
  return {};
}

// Whether two label sets ask for the same owners.
bool SameIdMaps(const Labels& left, const Labels& right) {
  return std::ranges::all_of(std::array{kUidMappingLabel, kGidMappingLabel},
                             [&](std::string_view key) {
                               const auto in_left = left.find(std::string(key));
                               const auto in_right = right.find(std::string(key));
                               if (in_left == left.end() || in_right == right.end())
                                 return (in_left == left.end()) == (in_right == right.end());
                               return in_left->second == in_right->second;
                             });
}
}  // namespace

LocalSnapshotter::LocalSnapshotter(metadata::Metadata& metadata, events::Publisher& publisher,
                                   std::string name, std::unique_ptr<LocalDriver> driver,
                                   Options options)
    : metadata_(metadata),
      publisher_(publisher),
      table_(std::move(name)),
      driver_(std::move(driver)),
      options_(std::move(options)),
      ids_(metadata, table_.snapshotter()) {}

absl::StatusOr<std::unique_ptr<LocalSnapshotter>> LocalSnapshotter::Open(
    metadata::Metadata& metadata, events::Publisher& publisher, std::string name,
    std::unique_ptr<LocalDriver> driver, Options options) {
  auto snapshotter = std::unique_ptr<LocalSnapshotter>(new LocalSnapshotter(
      metadata, publisher, std::move(name), std::move(driver), std::move(options)));
  std::string boot = snapshotter->options_.boot;
  if (boot.empty()) boot = ReadBoot(snapshotter->options_.boot_file);
  ASSIGN_OR_RETURN(snapshotter->damaged_,
                   RecoverDirectories(metadata, snapshotter->table_, *snapshotter->driver_, boot));
  return snapshotter;
}

void LocalSnapshotter::Stat(const Context& ctx, std::string key, Done<Info> done) {
  done(StatNow(ctx, key));
}
void LocalSnapshotter::Update(const Context& ctx, Info info, metadata::FieldMask mask,
                              Done<Info> done) {
  done(UpdateNow(ctx, info, mask));
}
void LocalSnapshotter::GetUsage(const Context& ctx, std::string key, Done<Usage> done) {
  done(UsageNow(ctx, key));
}
void LocalSnapshotter::Mounts(const Context& ctx, std::string key, Done<mount::Mounts> done) {
  done(MountsNow(ctx, key));
}
void LocalSnapshotter::Prepare(const Context& ctx, PrepareRequest request,
                               Done<mount::Mounts> done) {
  done(CreateNow(ctx, Kind::kActive, std::move(request)));
}
void LocalSnapshotter::View(const Context& ctx, PrepareRequest request, Done<mount::Mounts> done) {
  done(CreateNow(ctx, Kind::kView, std::move(request)));
}
void LocalSnapshotter::Commit(const Context& ctx, CommitRequest request, DoneStatus done) {
  done(CommitNow(ctx, std::move(request)));
}
void LocalSnapshotter::Remove(const Context& ctx, std::string key, DoneStatus done) {
  done(RemoveNow(ctx, key));
}
void LocalSnapshotter::List(const Context& ctx, ListRequest request, Done<ListPage> done) {
  done(ListNow(ctx, request));
}
void LocalSnapshotter::Cleanup(const Context& ctx, DoneStatus done) { done(CleanupNow(ctx)); }

absl::StatusOr<Layer> LocalSnapshotter::LayerOf(const metadata::View& view, std::string_view ns,
                                                const Snapshot& snapshot) const {
  Layer layer{.id = snapshot.local_id,
              .kind = snapshot.info.kind,
              .labels = InheritedLabels(snapshot.info.labels)};
  ASSIGN_OR_RETURN(layer.parents, table_.LocalChain(view, ns, snapshot.info.parent));
  return layer;
}

Info LocalSnapshotter::Show(const Snapshot& snapshot) const {
  Info info = snapshot.info;
  // The stored ones win.
  info.labels.merge(driver_->ExtraLabels({.id = snapshot.local_id, .kind = info.kind}));
  return info;
}

absl::StatusOr<Info> LocalSnapshotter::StatNow(const Context& ctx, std::string_view key) const {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(CheckKey("snapshot key", key));
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ASSIGN_OR_RETURN(const Snapshot snapshot, table_.Get(txn.view(), ctx.ns, key));
  return Show(snapshot);
}

absl::StatusOr<Info> LocalSnapshotter::UpdateNow(const Context& ctx, const Info& info,
                                                 const metadata::FieldMask& mask) {
  RETURN_IF_ERROR(CheckKey("snapshot name", info.name));
  ASSIGN_OR_RETURN(
      const Snapshot updated,
      metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Snapshot> {
        ASSIGN_OR_RETURN(Snapshot snapshot, table_.Get(txn.view(), ctx.ns, info.name));
        const Labels before = snapshot.info.labels;
        RETURN_IF_ERROR(metadata::ApplyLabelsOnly(mask, fmt::format("snapshot {:?}", info.name),
                                                  info.labels, snapshot.info.labels));
        // Bad ones that are there already do not stand in the way of other changes.
        if (snapshot.info.kind != Kind::kCommitted && !SameIdMaps(before, snapshot.info.labels))
          RETURN_IF_ERROR(driver_->CheckLabels(InheritedLabels(snapshot.info.labels)));
        snapshot.info.updated_at = txn.now();
        RETURN_IF_ERROR(table_.Update(txn, ctx.ns, snapshot));
        return snapshot;
      }));
  return Show(updated);
}

absl::StatusOr<Usage> LocalSnapshotter::UsageNow(const Context& ctx, std::string_view key) const {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(CheckKey("snapshot key", key));
  Layer layer;
  {
    ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
    ASSIGN_OR_RETURN(const Snapshot snapshot, table_.Get(txn.view(), ctx.ns, key));
    if (snapshot.info.kind != Kind::kActive) return snapshot.usage;
    ASSIGN_OR_RETURN(layer, LayerOf(txn.view(), ctx.ns, snapshot));
  }
  RETURN_IF_ERROR(driver_->Publish(layer.id));
  return driver_->Measure(ctx, layer);
}

absl::StatusOr<mount::Mounts> LocalSnapshotter::MountsNow(const Context& ctx,
                                                          std::string_view key) const {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(CheckKey("snapshot key", key));
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ASSIGN_OR_RETURN(const Snapshot snapshot, table_.Get(txn.view(), ctx.ns, key));
  if (snapshot.info.kind == Kind::kCommitted)
    return FailedPrecondition("snapshot {} is committed and has no mounts", key);
  ASSIGN_OR_RETURN(const Layer layer, LayerOf(txn.view(), ctx.ns, snapshot));
  // Whoever made it may be a moment away from giving the directory its name.
  RETURN_IF_ERROR(driver_->Publish(layer.id));
  return driver_->MountsOf(layer);
}

absl::StatusOr<ListPage> LocalSnapshotter::ListNow(const Context& ctx,
                                                   const ListRequest& request) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ListPage page;
  RETURN_IF_ERROR(table_.ForEach(txn.view(), ctx.ns, request.after,
                                 [&](const Snapshot& snapshot) -> absl::StatusOr<db::Scan> {
                                   Info info = Show(snapshot);
                                   if (request.match && !request.match(info))
                                     return db::Scan::kContinue;
                                   page.infos.push_back(std::move(info));
                                   if (page.infos.size() < request.limit)
                                     return db::Scan::kContinue;
                                   page.next = page.infos.back().name;
                                   return db::Scan::kStop;
                                 }));
  return page;
}

absl::Status LocalSnapshotter::AnswerExisting(const Context& ctx, std::string_view key) {
  if (!ctx.lease.empty()) {
    RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
      ASSIGN_OR_RETURN(const std::optional<Snapshot> found, table_.Find(txn.view(), ctx.ns, key));
      if (!found) return Unavailable("snapshot {} was removed meanwhile", key);
      return table_.Lease(txn, ctx, key);
    }));
  }
  return AlreadyExists("snapshot {}", key);
}

}  // namespace gantry::snapshots
