// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/gc/resource.h"

namespace gantry::leases {

// Leases as the collector sees them: roots until they expire, keeping their members (flat ones
// without what those refer to).
class LeaseResource final : public gc::Resource {
 public:
  metadata::NodeType type() const override { return metadata::NodeType::kLease; }
  absl::Status Scan(const metadata::View& view, absl::Time now,
                    absl::FunctionRef<absl::Status(gc::Object)> visit) override;
  absl::StatusOr<std::optional<gc::Object>> Load(const metadata::View& view, absl::Time now,
                                                 const metadata::Node& node) override;
  absl::Status Sweep(metadata::WriteTxn& txn, const metadata::Node& node) override;
};

}  // namespace gantry::leases
