// SPDX-License-Identifier: Apache-2.0
#include "core/gc/collector.h"

#include <algorithm>
#include <iterator>

#include "absl/cleanup/cleanup.h"
#include "absl/time/clock.h"
#include "core/gc/marker.h"
#include "core/log/log.h"
#include "core/metadata/lease_link.h"

namespace gantry::gc {
namespace {

// Records removed in one transaction: few enough that other writers hardly notice.
constexpr size_t kSweepBatch = 500;

}  // namespace

Collector::Collector(metadata::Metadata& metadata, std::vector<Resource*> resources,
                     std::map<std::string, Backend*> backends)
    : metadata_(metadata), resources_(std::move(resources)), cleaners_(std::move(backends)) {}

void Collector::NoteMutation(const metadata::Mutation& mutation) {
  if (mutation.dirty_content) cleaners_.MarkDirty(metadata::kContentResource);
  for (const std::string& name : mutation.dirty_snapshotters)
    cleaners_.MarkDirty(metadata::SnapshotResource(name));
}

absl::StatusOr<Collector::Result> Collector::Collect(const Context& ctx) {
  RETURN_IF_ERROR(metadata_.BeginBarrier(ctx));
  // The barrier must come down even if the caller is gone.
  absl::Cleanup end_barrier = [this] {
    if (const absl::Status ended = metadata_.EndBarrier({}); !ended.ok()) {
      log::Warn("cannot end the collector's barrier", {{"error", ended}});
    }
  };
  Marker marker(resources_, metadata_.clock().Now());
  RETURN_IF_ERROR(Annotate(Mark(marker), "mark"));
  Result result;
  std::vector<Node> removed;
  const absl::Status swept = Sweep(ctx, marker, removed, result.lock_time);
  std::move(end_barrier).Invoke();
  Announce(removed);
  RETURN_IF_ERROR(swept);
  result.removed = removed.size();
  result.next_expiry = marker.next_expiry();
  result.cleaned = cleaners_.Run(ctx);
  return result;
}

absl::Status Collector::Mark(Marker& marker) {
  ASSIGN_OR_RETURN(const metadata::ReadTxn txn, metadata_.Read());
  return marker.Scan(txn.view());
}

absl::Status Collector::MarkTouched(metadata::WriteTxn& txn, Marker& marker) {
  for (const Node& node : metadata_.DrainBarrier(txn))
    RETURN_IF_ERROR(marker.Refresh(txn.view(), node));
  return absl::OkStatus();
}

absl::Status Collector::Sweep(const Context& ctx, Marker& marker, std::vector<Node>& removed,
                              absl::Duration& lock_time) {
  const std::vector<std::vector<Node>> groups = marker.Unmarked();
  for (auto group = groups.begin(); group != groups.end();) {
    // A group goes whole or not at all: its nodes need each other.
    std::vector<Node> batch;
    for (; group != groups.end() && batch.size() < kSweepBatch; ++group)
      batch.insert(batch.end(), group->begin(), group->end());
    RETURN_IF_ERROR(SweepBatch(ctx, marker, batch, removed, lock_time));
  }
  return absl::OkStatus();
}

absl::Status Collector::SweepBatch(const Context& ctx, Marker& marker,
                                   const std::vector<Node>& batch, std::vector<Node>& removed,
                                   absl::Duration& lock_time) {
  std::vector<Node> gone;
  RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    const absl::Time start = absl::Now();
    txn.MarkByCollector();
    RETURN_IF_ERROR(MarkTouched(txn, marker));
    for (const Node& node : batch) {
      if (marker.IsMarked(node)) continue;
      RETURN_IF_ERROR(SweepOne(txn, node));
      gone.push_back(node);
    }
    lock_time += absl::Now() - start;
    return absl::OkStatus();
  }));
  std::ranges::move(gone, std::back_inserter(removed));
  return absl::OkStatus();
}

absl::Status Collector::SweepOne(metadata::WriteTxn& txn, const Node& node) {
  for (Resource* resource : resources_) {
    if (resource->type() == node.type) return resource->Sweep(txn, node);
  }
  return absl::OkStatus();
}

void Collector::Announce(const std::vector<Node>& removed) {
  for (Resource* resource : resources_) {
    std::vector<Node> own;
    std::ranges::copy_if(removed, std::back_inserter(own),
                         [&](const Node& node) { return node.type == resource->type(); });
    if (!own.empty()) resource->Swept(own);
  }
}

}  // namespace gantry::gc
