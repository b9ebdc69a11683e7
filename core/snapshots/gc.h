// SPDX-License-Identifier: Apache-2.0
// Snapshots as the collector sees them.
#pragma once

#include <optional>
#include <vector>

#include "core/base/context.h"
#include "core/base/status.h"
#include "core/events/publisher.h"
#include "core/gc/resource.h"
#include "core/metadata/metadata.h"
#include "core/snapshots/snapshotter.h"

namespace gantry::snapshots {

// The snapshots of all snapshotters. A snapshot keeps its parent. One that a step under way at a
// proxy names (snapshot_intents) is kept until the outcome of that step is recorded.
class SnapshotResource final : public gc::Resource {
 public:
  explicit SnapshotResource(events::Publisher& publisher) : publisher_(publisher) {}

  metadata::NodeType type() const override { return metadata::NodeType::kSnapshot; }
  absl::Status Scan(const metadata::View& view, absl::Time now,
                    absl::FunctionRef<absl::Status(gc::Object)> visit) override;
  absl::StatusOr<std::optional<gc::Object>> Load(const metadata::View& view, absl::Time now,
                                                 const metadata::Node& node) override;
  // Removes the record, its link from the parent, and notes what is to be freed.
  absl::Status Sweep(metadata::WriteTxn& txn, const metadata::Node& node) override;
  void Swept(const std::vector<metadata::Node>& nodes) override;

 private:
  events::Publisher& publisher_;
};

// Frees what swept snapshots of one snapshotter left. Blocks: for the collector's own threads.
class SnapshotBackend final : public gc::Backend {
 public:
  explicit SnapshotBackend(Snapshotter& snapshotter) : snapshotter_(snapshotter) {}
  absl::Status CleanUp(const Context& ctx) override;
  absl::Duration patience() const override {
    return snapshotter_.remote() ? gc::kRemotePatience : absl::InfiniteDuration();
  }

 private:
  Snapshotter& snapshotter_;
};

}  // namespace gantry::snapshots
