// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mount/manager/handler.h"

namespace gantry::mount {

// Type "loop": attaches the source file to a loop device; the mount point becomes a link to it.
// Options "ro" and "direct-io" are taken.
class LoopHandler final : public MountHandler {
 public:
  absl::StatusOr<ActiveMount> MountAt(const Context& ctx, const Mount& mount,
                                      const std::string& mount_point,
                                      std::span<const ActiveMount> earlier) override;
  absl::Status UnmountAt(const Context& ctx, const std::string& mount_point) override;
};

}  // namespace gantry::mount
