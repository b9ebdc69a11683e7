// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/metadata/metadata.h"
#include "core/mount/manager/activation_store.h"

namespace gantry::mount {

// The records of activations in the daemon's database, table `activations`.
//
// Threads: all methods from any thread; they may block on the disk.
// Errors:  besides those of the interface NotFound for a lease that does not exist.
class ActivationTable final : public ActivationStore {
 public:
  // `metadata` outlives the object.
  explicit ActivationTable(metadata::Metadata& metadata) : metadata_(metadata) {}

  absl::StatusOr<Begun> Begin(const Context& ctx, const std::string& name,
                              const Labels& labels) override;
  absl::Status Complete(const Context& ctx, uint64_t id, const ActivationInfo& info) override;
  absl::StatusOr<ActivationRecord> Remove(const Context& ctx, const std::string& name) override;
  absl::StatusOr<ActivationRecord> Get(const Context& ctx, const std::string& name) const override;
  // Reads a page of records at a time, and holds no reader while it visits.
  absl::Status ForEach(
      const Context& ctx, std::string_view ns,
      absl::FunctionRef<absl::Status(const ActivationRecord&)> visit) const override;

 private:
  metadata::Metadata& metadata_;
};

}  // namespace gantry::mount
