// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/context.h"
#include "core/mount/manager/activation.h"

namespace gantry::mount {

// Mounts a type that is more than a mount(2) call.
//
// Threads: any. Calls may block for as long as the kernel does.
class MountHandler {
 public:
  virtual ~MountHandler() = default;

  // Makes the mount at `mount_point`, which does not exist yet: the handler makes a directory
  // there, or whatever else fits its type. `earlier` are the mounts of the same activation made
  // before. On failure nothing but an empty directory may be left.
  virtual absl::StatusOr<ActiveMount> MountAt(const Context& ctx, const Mount& mount,
                                              const std::string& mount_point,
                                              std::span<const ActiveMount> earlier) = 0;

  // Undoes MountAt(), and removes what it made there. Nothing there is success: it may have been
  // interrupted, and is called again.
  virtual absl::Status UnmountAt(const Context& ctx, const std::string& mount_point) = 0;
};

}  // namespace gantry::mount
