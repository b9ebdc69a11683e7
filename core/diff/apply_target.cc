// SPDX-License-Identifier: Apache-2.0
#include "core/diff/apply_target.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/diff/overlay_options.h"
#include "core/kernel/file.h"

namespace gantry::diff {

absl::StatusOr<ApplyTarget> ApplyTarget::Open(const mount::Mounts& mounts,
                                              const mount::TempMounts& temp_mounts,
                                              bool in_user_namespace) {
  if (mounts.empty()) return InvalidArgument("unpack: no mounts");
  ApplyTarget target;
  target.options_.in_user_namespace = in_user_namespace;
  if (mounts.size() == 1 && mounts.front().target.empty()) {
    const mount::Mount& mount = mounts.front();
    const auto overlay = ParseOverlay(mount);
    if (overlay && !overlay->upper.empty() && !in_user_namespace) {
      target.options_.whiteouts = archive::WhiteoutMode::kOverlay;
      if (overlay->user_xattr) target.options_.opaque_xattr = archive::kUserOpaque;
      target.options_.lower_dirs = overlay->lower;
      RETURN_IF_ERROR(target.OpenRoot(overlay->upper));
      return target;
    }
    if (IsPlainBind(mount)) {
      RETURN_IF_ERROR(target.OpenRoot(mount.source));
      return target;
    }
  }
  ASSIGN_OR_RETURN(mount::ScopedTempMount temp, temp_mounts.Make(mounts));
  target.temp_.emplace(std::move(temp));
  RETURN_IF_ERROR(target.OpenRoot(target.temp_->path()));
  return target;
}

absl::Status ApplyTarget::OpenRoot(const std::string& path) {
  auto root = kernel::Open(path, O_RDONLY | O_DIRECTORY);
  // The snapshot exists for the client; that its directory does not is our trouble.
  if (!root) return Internal("unpack: {}", root.error().Text());
  root_ = std::move(*root);
  return absl::OkStatus();
}

absl::Status ApplyTarget::Sync() const {
  return ::syncfs(root_.get()) == 0 ? absl::OkStatus()
                                    : FromErrno(errno, "sync the unpacked files");
}

absl::Status ApplyTarget::Close() {
  root_.Reset();
  if (!temp_) return absl::OkStatus();
  absl::Status status = temp_->Unmount();
  temp_.reset();
  return status;
}

}  // namespace gantry::diff
