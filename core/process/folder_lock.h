// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/kernel/unique_fd.h"

namespace gantry::process {

// Makes this process the only one of its kind in a folder, until the object or the process ends,
// whatever way it ends. Held by flock(2) on the file gantryd.lock, which stays and tells the
// holder's pid.
class [[nodiscard]] FolderLock {
 public:
  // Waits up to `patience` for another holder to go. FailedPrecondition, naming the holder, when it
  // does not.
  static absl::StatusOr<FolderLock> Take(const std::filesystem::path& folder,
                                         absl::Duration patience);

 private:
  explicit FolderLock(kernel::UniqueFd file) : file_(std::move(file)) {}
  kernel::UniqueFd file_;
};

}  // namespace gantry::process
