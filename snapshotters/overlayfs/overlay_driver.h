// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/snapshots/directory_driver.h"
#include "snapshotters/overlayfs/support.h"

namespace gantry::overlayfs {

// Snapshots as layers of an overlay; each is a directory of its own and parents are never copied:
//
//   snapshots/<id>/fs     what differs from the parents
//   snapshots/<id>/work   the kernel's, of an active snapshot
//
// Threads: as snapshots::LocalDriver.
class OverlayDriver final : public snapshots::DirectoryDriver {
 public:
  struct Options {
    std::vector<std::string> mount_options;  // of overlay mounts, MountOptions() applied
    bool remap_ids = false;                  // pass id maps on as mount options
    bool upperdir_label = false;             // tell clients where `fs` is
  };

  OverlayDriver(snapshots::SnapshotDirectories directories, Options options)
      : DirectoryDriver(std::move(directories)), options_(std::move(options)) {}

  absl::Status Prepare(const Context& ctx, const snapshots::Layer& layer) override;
  absl::StatusOr<snapshots::Usage> Freeze(const Context& ctx, const snapshots::Layer& layer,
                                          bool durable) override;
  absl::StatusOr<snapshots::Usage> Measure(const Context& ctx,
                                           const snapshots::Layer& layer) override;
  mount::Mounts MountsOf(const snapshots::Layer& layer) const override;
  absl::Status CheckLabels(const Labels& labels) const override;
  Labels ExtraLabels(const snapshots::Layer& layer) const override;
  bool can_rebase() const override { return true; }

 private:
  std::filesystem::path Upper(uint64_t id) const { return directories().Path(id) / "fs"; }
  std::filesystem::path Work(uint64_t id) const { return directories().Path(id) / "work"; }
  absl::Status TakeOwner(const snapshots::Layer& layer, const std::filesystem::path& fs) const;

  const Options options_;
};

}  // namespace gantry::overlayfs
