// SPDX-License-Identifier: Apache-2.0
#include <sys/mount.h>
#include <time.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

#include "core/kernel/fuse_mount.h"
#include "core/kernel/mount.h"
#include "core/kernel/mountinfo.h"

namespace gantry::kernel {
namespace {

constexpr int kBusyTries = 50;
constexpr long kBusyPauseNs = 50'000'000;

// Rounds of UnmountTree(): others may mount while we unmount, but not for ever.
constexpr int kMaxRounds = 100;

// umount2(2) that waits for short users of the mount. Gives the errno.
int UnmountWhenIdle(const std::string& target, int flags) {
  for (int attempt = 1;; ++attempt) {
    if (::umount2(target.c_str(), flags | UMOUNT_NOFOLLOW) == 0) return 0;
    if (errno != EBUSY || attempt == kBusyTries) return errno;
    const timespec pause{.tv_sec = 0, .tv_nsec = kBusyPauseNs};
    ::nanosleep(&pause, nullptr);
  }
}

// As mountinfo spells it: symlinks resolved, but for the last component, which may be a dead FUSE
// file system that answers nothing.
std::string Canonical(const std::string& path) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.ends_with('/')) trimmed.pop_back();
  const size_t slash = trimmed.find_last_of('/');
  if (slash == std::string::npos || slash == 0) return trimmed;
  std::string parent(PATH_MAX, '\0');
  if (::realpath(trimmed.substr(0, slash).c_str(), parent.data()) == nullptr) return trimmed;
  parent.resize(parent.find('\0'));
  return (parent == "/" ? "" : parent) + trimmed.substr(slash);
}

}  // namespace

Result<void> Unmount(const std::string& target, int flags) {
  const int err = UnmountWhenIdle(target, flags);
  if (err == 0 || err == EINVAL || err == ENOENT) return {};
  if (err == EPERM && UnmountFuse(target)) return {};
  return Error{err, "unmount " + target};
}

Result<void> UnmountAll(const std::string& target, int flags) {
  while (true) {
    const int err = UnmountWhenIdle(target, flags);
    if (err == EINVAL || err == ENOENT) return {};
    if (err == EPERM && UnmountFuse(target)) continue;
    if (err != 0) return Error{err, "unmount " + target};
  }
}

Result<void> UnmountTree(const std::string& path, int flags) {
  const std::string root = Canonical(path);
  for (int round = 0; round < kMaxRounds; ++round) {
    auto table = ReadMountInfo();
    if (!table) return table.error();
    std::vector<MountInfo> mounts = MountsAtOrBelow(*table, root);
    // No path leads to these any more; they go with their last user.
    std::erase_if(mounts, [](const MountInfo& m) { return m.mount_point.ends_with("//deleted"); });
    if (mounts.empty()) return {};
    // Within one depth the newest first: it may lie on top of the older.
    std::reverse(mounts.begin(), mounts.end());
    std::stable_sort(mounts.begin(), mounts.end(), [](const MountInfo& a, const MountInfo& b) {
      return a.mount_point.size() > b.mount_point.size();
    });
    for (const MountInfo& mount : mounts) {
      if (auto done = Unmount(mount.mount_point, flags); !done) return done;
    }
  }
  return Error{EBUSY, "unmount what is below " + path};
}

}  // namespace gantry::kernel
