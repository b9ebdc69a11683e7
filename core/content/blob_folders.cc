// SPDX-License-Identifier: Apache-2.0
#include "core/content/blob_folders.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/kernel_status.h"
#include "core/kernel/file.h"

namespace gantry::content {

absl::Status BlobFolders::Make(DigestAlgorithm algorithm) {
  constexpr mode_t kMode = 0755;
  base::MutexLock lock(mutex_);
  const std::filesystem::path folder = Folder(algorithm);
  // Somebody may have tidied an empty one away.
  if (made_.contains(algorithm) && ::access(folder.c_str(), F_OK) == 0) return absl::OkStatus();
  if (::mkdir(folder.c_str(), kMode) != 0 && errno != EEXIST)
    return FromErrno(errno, fmt::format("create {}", folder.string()));
  // One that is there may come from a daemon that was killed before this.
  RETURN_IF_ERROR(ToStatus(kernel::SyncDirectory(blobs_.string())));
  made_.insert(algorithm);
  return absl::OkStatus();
}

absl::Status BlobFolders::SyncNames(DigestAlgorithm algorithm) const {
  return ToStatus(kernel::SyncDirectory(Folder(algorithm).string()));
}

absl::Status BlobFolders::SyncBlob(const Digest& digest) const {
  const auto fd = kernel::Open(Path(digest).string(), O_RDONLY | O_CLOEXEC);
  if (!fd) {
    if (fd.error().err == ENOENT) return NotFound("content {}", digest.str());
    return ToStatus(fd.error());
  }
  if (::fdatasync(fd->get()) != 0)
    return FromErrno(errno, fmt::format("flush blob {}", digest.str()));
  return SyncNames(digest.algorithm());
}

}  // namespace gantry::content
