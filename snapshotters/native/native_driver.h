// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/snapshots/directory_driver.h"

namespace gantry::native {

// Snapshots as full copies of their parents, mounted by bind. Works on any file system; a view of a
// parent is the parent's own directory, read-only.
//
// Threads: as snapshots::LocalDriver.
class NativeDriver final : public snapshots::DirectoryDriver {
 public:
  explicit NativeDriver(snapshots::SnapshotDirectories directories)
      : DirectoryDriver(std::move(directories)) {}

  absl::Status Prepare(const Context& ctx, const snapshots::Layer& layer) override;
  absl::StatusOr<snapshots::Usage> Freeze(const Context& ctx, const snapshots::Layer& layer,
                                          bool durable) override;
  absl::StatusOr<snapshots::Usage> Measure(const Context& ctx,
                                           const snapshots::Layer& layer) override;
  mount::Mounts MountsOf(const snapshots::Layer& layer) const override;
};

}  // namespace gantry::native
