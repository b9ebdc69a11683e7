// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <utility>
#include <vector>

#include "core/snapshots/snapshot_directories.h"

namespace gantry::snapshots {

// The part of a driver that is the same for all whose snapshots are plain directories.
class DirectoryDriver : public LocalDriver {
 public:
  absl::Status Publish(uint64_t id) override { return directories_.Publish(id); }
  absl::Status Discard(const Context& ctx, uint64_t id) override {
    return directories_.Discard(ctx, id);
  }
  const std::filesystem::path& root() const override { return directories_.root(); }
  absl::StatusOr<std::vector<FoundDirectory>> Scan() const override { return directories_.Scan(); }
  absl::Status SyncNames() override { return directories_.Sync(); }

 protected:
  explicit DirectoryDriver(SnapshotDirectories directories)
      : directories_(std::move(directories)) {}

  const SnapshotDirectories& directories() const { return directories_; }

 private:
  const SnapshotDirectories directories_;
};

// What the tree at `path` takes. Entries that vanish meanwhile are not counted. Ends with `ctx`.
absl::StatusOr<Usage> MeasureTree(const Context& ctx, const std::filesystem::path& path);

// Forces the file system that holds `path` to disk: syncfs(2).
absl::Status SyncFileSystem(const std::filesystem::path& path);

}  // namespace gantry::snapshots
