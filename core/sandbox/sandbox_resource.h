// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/gc/resource.h"

namespace gantry::sandbox {

// Sandboxes as the collector sees them: always alive, keeping what their labels name.
class SandboxResource final : public gc::Resource {
 public:
  metadata::NodeType type() const override { return metadata::NodeType::kSandbox; }
  absl::Status Scan(const metadata::View& view, absl::Time now,
                    absl::FunctionRef<absl::Status(gc::Object)> visit) override;
  absl::StatusOr<std::optional<gc::Object>> Load(const metadata::View& view, absl::Time now,
                                                 const metadata::Node& node) override;
  // Sandboxes are never collected: Internal.
  absl::Status Sweep(metadata::WriteTxn& txn, const metadata::Node& node) override;
};

}  // namespace gantry::sandbox
