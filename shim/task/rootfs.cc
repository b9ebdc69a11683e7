// SPDX-License-Identifier: Apache-2.0
#include "shim/task/rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <utility>

#include "core/kernel/file.h"
#include "shim/process/helper.h"

namespace gantry::shim {
namespace {

kernel::Result<void> MountAll(const std::string& bundle, const std::vector<RootfsMount>& mounts) {
  const std::string rootfs = bundle + "/rootfs";
  if (::mkdir(rootfs.c_str(), 0711) != 0 && errno != EEXIST)
    return kernel::LastError("mkdir " + rootfs);
  for (const RootfsMount& mount : mounts) {
    kernel::Result<void> made;
    if (mount.target.empty()) {
      made = kernel::Mount(mount.spec, rootfs, bundle);
    } else {
      auto root = kernel::Open(rootfs, O_PATH | O_DIRECTORY);
      if (!root) return root.error();
      made = kernel::Mount(mount.spec, kernel::MountTarget(root->get(), mount.target), bundle);
    }
    if (made) continue;
    kernel::Error error = made.error();
    if (auto undone = kernel::UnmountTree(rootfs); !undone)
      error.what += " (then " + undone.error().Text() + ")";
    return error;
  }
  return {};
}

// Without a look at the table of mounts, which is long on a busy machine.
kernel::Result<void> UnmountPlain(const std::string& rootfs) {
  while (::umount2(rootfs.c_str(), 0) == 0) {
  }
  if (errno == EINVAL) return {};
  return kernel::UnmountTree(rootfs);
}

}  // namespace

Co<kernel::Result<void>> MountRootfs(Loop& loop, Children& children, std::string bundle,
                                     std::vector<RootfsMount> mounts, Time deadline) {
  if (mounts.empty()) co_return kernel::Result<void>();
  std::function<kernel::Result<void>()> work = [bundle, mounts] {
    return MountAll(bundle, mounts);
  };
  co_return co_await RunInHelper(loop, children, std::move(work), deadline);
}

Co<kernel::Result<void>> UnmountRootfs(Loop& loop, Children& children, std::string bundle,
                                       bool plain, Time deadline) {
  std::function<kernel::Result<void>()> work = [bundle, plain] {
    const std::string rootfs = bundle + "/rootfs";
    return plain ? UnmountPlain(rootfs) : kernel::UnmountTree(rootfs);
  };
  co_return co_await RunInHelper(loop, children, std::move(work), deadline);
}

}  // namespace gantry::shim
