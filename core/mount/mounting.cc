// SPDX-License-Identifier: Apache-2.0
#include "core/mount/mounting.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <cerrno>
#include <utility>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "core/kernel/mount.h"
#include "core/log/log.h"

namespace gantry::mount {
namespace {

kernel::MountSpec SpecOf(const Mount& mount) {
  return {.type = mount.type, .source = mount.source, .options = mount.options};
}

// Takes a plain stack of mounts off without waiting and without reading the mount table, which is
// long on a busy node. False when that was not enough.
bool UnmountQuickly(const std::string& target) {
  while (::umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0) {
  }
  return errno == EINVAL || errno == ENOENT;
}

std::vector<std::string> ReadOnlyOverlay(const std::vector<std::string>& options) {
  constexpr std::string_view kUpper = "upperdir=";
  constexpr std::string_view kLower = "lowerdir=";
  std::string upper;
  std::vector<std::string> kept;
  for (const std::string& word : options) {
    if (word.starts_with(kUpper)) {
      upper = word.substr(kUpper.size());
    } else if (!word.starts_with("workdir=")) {
      kept.push_back(word);
    }
  }
  if (upper.empty()) return kept;
  for (std::string& word : kept) {
    if (word.starts_with(kLower)) word.insert(kLower.size(), upper + ":");
  }
  return kept;
}

}  // namespace

absl::Status FailedMount(const kernel::Error& error) { return Unknown("{}", error.Text()); }

absl::Status MountOne(const Mount& mount, const std::string& target) {
  kernel::MountTarget place(target);
  kernel::UniqueFd root;
  if (!mount.target.empty()) {
    auto opened = kernel::Open(target, O_PATH | O_DIRECTORY);
    if (!opened) return FailedMount(opened.error());
    root = *std::move(opened);
    place = kernel::MountTarget(root.get(), mount.target);
  }
  const auto made = kernel::Mount(SpecOf(mount), std::move(place));
  return made ? absl::OkStatus() : FailedMount(made.error());
}

absl::Status MountAll(const Mounts& mounts, const std::string& target) {
  for (const Mount& mount : mounts) {
    absl::Status mounted = MountOne(mount, target);
    if (mounted.ok()) continue;
    if (&mount == &mounts.front()) return mounted;
    // The first failure is what the caller has to know.
    if (const absl::Status undone = UnmountAll(target); !undone.ok())
      log::Warn("cannot undo mounts", {{"target", target}, {"error", undone}});
    return mounted;
  }
  return absl::OkStatus();
}

absl::Status UnmountAll(const std::string& target) {
  if (UnmountQuickly(target)) return absl::OkStatus();
  return ToStatus(kernel::UnmountTree(target));
}

Mounts ReadOnly(Mounts mounts) {
  for (Mount& mount : mounts) {
    // Also fuse-overlayfs's uidmapping= and gidmapping=.
    std::erase_if(mount.options, [](const std::string& word) {
      return word.starts_with("uidmap") || word.starts_with("gidmap");
    });
    if (mount.type == "overlay") {
      mount.options = ReadOnlyOverlay(mount.options);
      continue;
    }
    std::erase_if(mount.options,
                  [](const std::string& word) { return word == "rw" || word == "ro"; });
    mount.options.emplace_back("ro");
  }
  return mounts;
}

Mounts WithoutVolatile(Mounts mounts) {
  for (Mount& mount : mounts) {
    if (mount.type != "overlay") continue;
    std::erase_if(mount.options, [](const std::string& word) {
      return word == "volatile" || word == "fsync=volatile";
    });
  }
  return mounts;
}

}  // namespace gantry::mount
