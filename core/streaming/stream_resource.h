// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/gc/resource.h"
#include "core/streaming/stream_registry.h"

namespace gantry::streaming {

// Streams as the collector sees them: one opened under a lease lives as long as the lease, any
// other until it ends by itself.
class StreamResource final : public gc::Resource {
 public:
  explicit StreamResource(StreamRegistry& streams) : streams_(streams) {}

  metadata::NodeType type() const override { return metadata::NodeType::kStream; }
  absl::Status Scan(const metadata::View& view, absl::Time now,
                    absl::FunctionRef<absl::Status(gc::Object)> visit) override;
  absl::StatusOr<std::optional<gc::Object>> Load(const metadata::View& view, absl::Time now,
                                                 const metadata::Node& node) override;
  // Streams have no record; they are closed once the rest of the sweep is on disk.
  absl::Status Sweep(metadata::WriteTxn&, const metadata::Node&) override {
    return absl::OkStatus();
  }
  void Swept(const std::vector<metadata::Node>& nodes) override;

 private:
  StreamRegistry& streams_;
  uint64_t last_scanned_ = 0;  // serial; a later stream may have taken the name of a scanned one
};

}  // namespace gantry::streaming
