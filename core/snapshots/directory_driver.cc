// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/directory_driver.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/kernel/file.h"
#include "core/kernel/tree.h"

namespace gantry::snapshots {

absl::StatusOr<Usage> MeasureTree(const Context& ctx, const std::filesystem::path& path) {
  const auto usage = kernel::DiskUsage(path, [&ctx] { return !ctx.Check().ok(); });
  if (!usage) {
    RETURN_IF_ERROR(ctx.Check());
    return DiskStatus(usage.error());
  }
  return Usage{.size_bytes = static_cast<int64_t>(usage->bytes),
               .inodes = static_cast<int64_t>(usage->inodes)};
}

absl::Status SyncFileSystem(const std::filesystem::path& path) {
  const auto dir = kernel::Open(path, O_RDONLY | O_DIRECTORY);
  if (!dir) return DiskStatus(dir.error());
  if (::syncfs(dir->get()) != 0) return DiskStatus(kernel::LastError("sync " + path.string()));
  return absl::OkStatus();
}

}  // namespace gantry::snapshots
