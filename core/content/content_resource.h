// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/content/content_store.h"
#include "core/gc/resource.h"

namespace gantry::content {

// Blob records as the collector sees them.
class BlobResource final : public gc::Resource {
 public:
  metadata::NodeType type() const override { return metadata::NodeType::kContent; }
  absl::Status Scan(const metadata::View& view, absl::Time now,
                    absl::FunctionRef<absl::Status(gc::Object)> visit) override;
  absl::StatusOr<std::optional<gc::Object>> Load(const metadata::View& view, absl::Time now,
                                                 const metadata::Node& node) override;
  absl::Status Sweep(metadata::WriteTxn& txn, const metadata::Node& node) override;
};

// Ingest records: roots until they expire, keeping the blob that a shared one stands on.
class IngestResource final : public gc::Resource {
 public:
  metadata::NodeType type() const override { return metadata::NodeType::kIngest; }
  absl::Status Scan(const metadata::View& view, absl::Time now,
                    absl::FunctionRef<absl::Status(gc::Object)> visit) override;
  absl::StatusOr<std::optional<gc::Object>> Load(const metadata::View& view, absl::Time now,
                                                 const metadata::Node& node) override;
  absl::Status Sweep(metadata::WriteTxn& txn, const metadata::Node& node) override;
};

class ContentBackend final : public gc::Backend {
 public:
  explicit ContentBackend(ContentStore& store) : store_(store) {}
  absl::Status CleanUp(const Context& ctx) override { return store_.CleanUp(ctx); }
  absl::Duration patience() const override {
    return store_.remote() ? gc::kRemotePatience : absl::InfiniteDuration();
  }

 private:
  ContentStore& store_;
};

}  // namespace gantry::content
