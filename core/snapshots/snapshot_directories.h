// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/base/context.h"
#include "core/base/status.h"
#include "core/kernel/result.h"
#include "core/snapshots/local_driver.h"

namespace gantry::snapshots {

// The folder of a driver whose snapshots are plain directories:
//
//   <root>/snapshots/new-<id>   being made
//   <root>/snapshots/<id>       published
//   <root>/snapshots/rm-<id>    being removed
//
// Threads: any, as LocalDriver says.
class SnapshotDirectories {
 public:
  // Makes the folders that are missing, each 0700.
  static absl::StatusOr<SnapshotDirectories> Open(std::filesystem::path root);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path Path(uint64_t id) const { return Named("", id); }
  std::filesystem::path ProvisionalPath(uint64_t id) const { return Named("new-", id); }

  // An empty provisional directory.
  absl::Status MakeProvisional(uint64_t id, mode_t mode) const;
  absl::Status Publish(uint64_t id) const;
  absl::Status Discard(const Context& ctx, uint64_t id) const;
  absl::Status Sync() const;

  // Entries whose names are not of the kinds above are nobody's and left out.
  absl::StatusOr<std::vector<FoundDirectory>> Scan() const;

 private:
  explicit SnapshotDirectories(std::filesystem::path root)
      : root_(std::move(root)), snapshots_(root_ / "snapshots") {}
  std::filesystem::path Named(const char* prefix, uint64_t id) const {
    return snapshots_ / (prefix + std::to_string(id));
  }

  std::filesystem::path root_;
  std::filesystem::path snapshots_;
};

// What Scan() would find in a folder that may not exist and is not ours to make.
absl::StatusOr<std::vector<FoundDirectory>> ScanSnapshotDirectories(
    const std::filesystem::path& root);

// A failed step on disk: ResourceExhausted for a lack of space, Internal otherwise. NotFound and
// the like would speak of API objects.
absl::Status DiskStatus(const kernel::Error& error);

}  // namespace gantry::snapshots
