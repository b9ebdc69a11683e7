// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mount/manager/handler.h"

namespace gantry::mount {

// Type "erofs": mounts an image file directly where the kernel can (Linux 6.12), through a loop
// device otherwise; blob files in "device=" options likewise. Unimplemented for
// "X-containerd.dmverity=".
class ErofsHandler final : public MountHandler {
 public:
  absl::StatusOr<ActiveMount> MountAt(const Context& ctx, const Mount& mount,
                                      const std::string& mount_point,
                                      std::span<const ActiveMount> earlier) override;
  absl::Status UnmountAt(const Context& ctx, const std::string& mount_point) override;
};

}  // namespace gantry::mount
