// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "core/gc/resource.h"

namespace gantry::images {

// Images as the collector sees them: roots until they expire, keeping their target.
class ImageResource final : public gc::Resource {
 public:
  // `swept` hears of expired images that were removed.
  explicit ImageResource(std::function<void(const std::vector<metadata::Node>&)> swept)
      : swept_(std::move(swept)) {}

  metadata::NodeType type() const override { return metadata::NodeType::kImage; }
  absl::Status Scan(const metadata::View& view, absl::Time now,
                    absl::FunctionRef<absl::Status(gc::Object)> visit) override;
  absl::StatusOr<std::optional<gc::Object>> Load(const metadata::View& view, absl::Time now,
                                                 const metadata::Node& node) override;
  absl::Status Sweep(metadata::WriteTxn& txn, const metadata::Node& node) override;
  void Swept(const std::vector<metadata::Node>& removed) override { swept_(removed); }

 private:
  const std::function<void(const std::vector<metadata::Node>&)> swept_;
};

}  // namespace gantry::images
