// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"

namespace gantry::kernel {
namespace {

// Runs in a child that shares our memory but for its own namespaces: the namespace of this process
// stays as it is, and no thread has to be given up for it.
__attribute__((noinline, no_sanitize("address"), no_sanitize("thread"),
               no_sanitize("undefined"))) int
MakeAndMount(void* path) {
  if (::syscall(SYS_unshare, CLONE_NEWNET) != 0) return errno;
  if (::syscall(SYS_mount, "/proc/self/ns/net", path, nullptr, MS_BIND, nullptr) != 0) return errno;
  return 0;
}

}  // namespace

Result<ScopedNetns> ScopedNetns::Create(std::string path) {
  const size_t slash = path.find_last_of('/');
  if (slash != std::string::npos && slash > 0) {
    if (auto made = MakeDirectories(path.substr(0, slash), 0755); !made) return made.error();
  }
  auto file = kernel::Open(path, O_RDONLY | O_CREAT | O_EXCL, 0444);
  if (!file) return file.error();
  ScopedNetns netns(std::move(path));
  auto result = RunInVforkChild(MakeAndMount, netns.path_.data());
  if (!result) return result.error();
  if (*result != 0) return Error{*result, "make a network namespace at " + netns.path_};
  return netns;
}

ScopedNetns::~ScopedNetns() { Delete().Ignore(); }  // a destructor has nobody to tell

Result<UniqueFd> ScopedNetns::Open() const { return kernel::Open(path_, O_RDONLY); }

Result<void> ScopedNetns::Delete() {
  if (path_.empty()) return {};
  // EINVAL: not mounted, or no longer.
  if (::umount2(path_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
      errno != ENOENT) {
    return LastError("unmount " + path_);
  }
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) return LastError("remove " + path_);
  path_.clear();
  return {};
}

}  // namespace gantry::kernel
