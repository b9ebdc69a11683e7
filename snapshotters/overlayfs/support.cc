// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/overlayfs/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "core/base/kernel_status.h"
#include "core/kernel/file.h"
#include "core/kernel/idmap.h"
#include "core/kernel/mount.h"
#include "core/kernel/tree.h"

namespace gantry::overlayfs {
namespace {

namespace fs = std::filesystem;

// A folder that is gone, with its content, at the end.
class TrialFolder {
 public:
  explicit TrialFolder(const fs::path& root) {
    std::string pattern = root / "trial-XXXXXX";
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TrialFolder() {
    if (!path_.empty()) kernel::RemoveTree(path_).Ignore();  // A trial's rest harms nobody.
  }
  TrialFolder(const TrialFolder&) = delete;
  TrialFolder& operator=(const TrialFolder&) = delete;

  const fs::path& path() const { return path_; }
  bool Make(std::initializer_list<const char*> names) const {
    return !path_.empty() && std::ranges::all_of(names, [&](const char* name) {
      return ::mkdir((path_ / name).c_str(), 0755) == 0;
    });
  }

 private:
  fs::path path_;
};

bool KernelIsAtLeast(int major, int minor) {
  struct utsname names {};
  int found_major = 0;
  int found_minor = 0;
  if (::uname(&names) != 0 || std::sscanf(names.release, "%d.%d", &found_major, &found_minor) != 2)
    return false;
  return std::pair(found_major, found_minor) >= std::pair(major, minor);
}

bool IsOnTmpfs(const fs::path& path) {
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
}

kernel::MountSpec OverlayOf(const fs::path& folder, std::vector<std::string> more) {
  const std::string base = folder.string();
  more.push_back("lowerdir=" + base + "/lower2:" + base + "/lower1");
  more.push_back("upperdir=" + base + "/upper");
  more.push_back("workdir=" + base + "/work");
  return {.type = "overlay", .source = "overlay", .options = std::move(more)};
}

bool HasOption(const std::vector<std::string>& options, std::string_view key) {
  return std::ranges::any_of(
      options, [&](std::string_view option) { return option.substr(0, option.find('=')) == key; });
}

}  // namespace

absl::Status CheckDirectoryTypes(const fs::path& root) {
  const TrialFolder trial(root);
  if (!trial.Make({"entry"})) return FromErrno(errno, "create a folder in " + root.string());
  struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(trial.path().c_str()));
  if (!dir) return FromErrno(errno, "read " + trial.path().string());
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_type == DT_UNKNOWN) {
      return FailedPrecondition("{} does not support d_type; an xfs must be formatted with ftype=1",
                                root.string());
    }
  }
  return absl::OkStatus();
}

bool IsMapped(std::string_view uid_map) {
  unsigned inside = 1;
  unsigned outside = 1;
  unsigned long long count = 0;
  const std::string text(uid_map);
  if (std::sscanf(text.c_str(), "%u %u %llu", &inside, &outside, &count) != 3) return false;
  return !(inside == 0 && outside == 0 && count == 4294967295ULL);
}

bool TryUserXattr(const fs::path& root) {
  const TrialFolder trial(root);
  if (!trial.Make({"lower1", "lower2", "upper", "work", "merged"})) return false;
  const auto mounted = kernel::ScopedMount::Make(OverlayOf(trial.path(), {"ro", "userxattr"}),
                                                 trial.path() / "merged");
  return mounted.ok();
}

bool TryIdmappedLayers(const fs::path& root) {
  // The kernel may map layers and still not the overlay, so the owner that shows through counts.
  constexpr uid_t kHostId = 666;
  const TrialFolder trial(root);
  if (!trial.Make({"lower1", "lower2", "upper", "work", "merged"})) return false;
  if (::lchown((trial.path() / "upper").c_str(), kHostId, kHostId) != 0) return false;
  kernel::MountSpec spec = OverlayOf(trial.path(), {"uidmap=0:666:1", "gidmap=0:666:1"});
  const auto mounted = kernel::ScopedMount::Make(spec, trial.path() / "merged");
  struct stat info {};
  return mounted.ok() && ::stat((trial.path() / "merged").c_str(), &info) == 0 &&
         info.st_uid == kHostId && info.st_gid == kHostId;
}

absl::StatusOr<Support> DetectSupport(const fs::path& root) {
  Support support;
  ASSIGN_OR_RETURN(const std::string uid_map,
                   ToStatusOr(kernel::ReadFile("/proc/self/uid_map", 64 << 10)));
  support.in_user_namespace = IsMapped(uid_map);
  // tmpfs has no user.* attributes.
  support.needs_userxattr = support.in_user_namespace && !IsOnTmpfs(root) &&
                            (KernelIsAtLeast(5, 11) || TryUserXattr(root));
  support.knows_index = ::access("/sys/module/overlay/parameters/index", F_OK) == 0;
  support.remap_ids = KernelIsAtLeast(5, 19) || TryIdmappedLayers(root);
  return support;
}

std::vector<std::string> MountOptions(std::vector<std::string> options, const Support& support) {
  if (support.needs_userxattr && !HasOption(options, "userxattr")) options.push_back("userxattr");
  // Layers are used by several overlays at once, which an index forbids.
  if (support.knows_index && !HasOption(options, "index")) options.push_back("index=off");
  return options;
}

}  // namespace gantry::overlayfs
