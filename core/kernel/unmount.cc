// SPDX-License-Identifier: Apache-2.0
#include <sys/mount.h>
#include <time.h>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

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

bool IsBelow(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

// What lies on what among some mounts.
class MountTree {
 public:
  explicit MountTree(const std::vector<MountInfo>& mounts) {
    for (const MountInfo& mount : mounts) {
      by_id_.emplace(mount.id, &mount);
      beside_.emplace(mount.parent, &mount);
    }
  }

  // How many mounts it lies on, and whether its path leads to it. Another that lies on the same
  // mount, further up on its path, covers it with all that lies on it.
  struct Place {
    size_t depth = 0;
    bool reachable = true;
  };
  Place Of(const MountInfo& mount) const {
    Place place{.reachable = !IsCovered(mount)};
    for (const MountInfo* at = Below(mount); at != nullptr && place.depth < by_id_.size();
         at = Below(*at)) {
      ++place.depth;
      if (IsCovered(*at)) place.reachable = false;
    }
    return place;
  }

 private:
  const MountInfo* Below(const MountInfo& mount) const {
    const auto found = by_id_.find(mount.parent);
    return found == by_id_.end() ? nullptr : found->second;
  }
  bool IsCovered(const MountInfo& mount) const {
    const auto [first, last] = beside_.equal_range(mount.parent);
    return std::any_of(first, last, [&mount](const auto& entry) {
      return IsBelow(mount.mount_point, entry.second->mount_point);
    });
  }

  std::map<uint64_t, const MountInfo*> by_id_;
  std::multimap<uint64_t, const MountInfo*> beside_;  // by what they lie on
};

// One round: unmounts what can be reached, and bears no mount that cannot.
Result<void> UnmountReachable(const std::vector<MountInfo>& mounts, int flags) {
  const MountTree tree(mounts);
  std::multimap<size_t, const MountInfo*, std::greater<>> deepest_first;
  std::set<uint64_t> held;
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    const MountTree::Place place = tree.Of(*mount);
    if (place.reachable) deepest_first.emplace(place.depth, &*mount);
    if (!place.reachable) held.insert(mount->parent);
  }
  for (const auto& [depth, mount] : deepest_first) {
    if (held.contains(mount->id)) {
      held.insert(mount->parent);
    } else if (auto done = Unmount(mount->mount_point, flags); !done) {
      return done;
    }
  }
  return {};
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
    if (auto done = UnmountReachable(mounts, flags); !done) return done;
  }
  return Error{EBUSY, "unmount what is below " + path};
}

}  // namespace gantry::kernel
