// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "core/gc/resource.h"

namespace gantry::mount {

// Activations as the collector sees them: none is a root, but for one that is being made. One lives
// as long as the lease that it was made under, as one of the objects that its labels
// (containerd.io/gc.bref.*) name, or as one that names it (containerd.io/gc.ref.mount).
//
// Takes the records alone. `swept` is called once some of them are gone, before the collector
// removes bytes that their mounts may show; MountManager::CleanUp() then undoes these.
class ActivationResource final : public gc::Resource {
 public:
  explicit ActivationResource(std::function<void()> swept) : swept_(std::move(swept)) {}

  metadata::NodeType type() const override { return metadata::NodeType::kMount; }
  absl::Status Scan(const metadata::View& view, absl::Time now,
                    absl::FunctionRef<absl::Status(gc::Object)> visit) override;
  absl::StatusOr<std::optional<gc::Object>> Load(const metadata::View& view, absl::Time now,
                                                 const metadata::Node& node) override;
  absl::Status Sweep(metadata::WriteTxn& txn, const metadata::Node& node) override;
  void Swept(const std::vector<metadata::Node>&) override { swept_(); }

 private:
  const std::function<void()> swept_;
};

}  // namespace gantry::mount
