// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/archive/apply.h"
#include "core/kernel/unique_fd.h"
#include "core/mount/mount.h"
#include "core/mount/temp_mounts.h"

namespace gantry::diff {

// The directory to unpack a layer into, so that its mounts show it:
//
//   one overlay with an upper directory   that directory, with overlay's own marks for deletions
//   one writable bind                     its source; deletions remove
//   anything else                         a temporary mount of all of it; deletions remove
//
// In a user namespace an overlay's upper directory is not written to directly, since its marks
// could not be made there.
//
// Ownership: holds the temporary mount, if any, until Close() or destruction.
class ApplyTarget {
 public:
  static absl::StatusOr<ApplyTarget> Open(const mount::Mounts& mounts,
                                          const mount::TempMounts& temp_mounts,
                                          bool in_user_namespace);

  int root() const { return root_.get(); }
  const archive::ApplyOptions& options() const { return options_; }

  // Forces the directory's file system to disk.
  absl::Status Sync() const;
  // Undoes the temporary mount, with the outcome.
  absl::Status Close();

 private:
  ApplyTarget() = default;
  absl::Status OpenRoot(const std::string& path);

  std::optional<mount::ScopedTempMount> temp_;
  kernel::UniqueFd root_;  // goes before the mount that it would keep busy
  archive::ApplyOptions options_;
};

}  // namespace gantry::diff
