// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <optional>

#include "core/kernel/file.h"
#include "core/kernel/fuse_mount.h"
#include "core/kernel/idmap.h"
#include "core/kernel/loop_device.h"
#include "core/kernel/mount_options.h"
#include "core/kernel/overlay_mount.h"
#include "core/kernel/resolve.h"

namespace gantry::kernel {
namespace {

// From this length on an overlay's options take the long way; the room left is for what a security
// module adds.
size_t LongData() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)) - 512; }

// The layers of an overlay under a temporary mount point, where they show shifted owners. The
// overlay holds them itself once it is mounted.
class IdmappedLayers {
 public:
  static Result<IdmappedLayers> Make(const std::vector<std::string>& lowers, int user_namespace,
                                     const std::string& scratch) {
    const std::string common = CommonDirectory(lowers);
    if (common == "/") return Error{EINVAL, "map the ids of layers that share no directory"};
    auto tree = CloneMountTree(common, true);
    if (!tree) return tree.error();
    if (auto mapped = IdmapTree(tree->get(), user_namespace, true, true); !mapped) {
      return mapped.error();
    }
    std::string directory = scratch + "/ovl-idmapped-XXXXXX";
    if (::mkdtemp(directory.data()) == nullptr) return LastError("make " + directory);
    IdmappedLayers layers(std::move(directory));
    if (auto attached = AttachTree(tree->get(), layers.directory_); !attached) {
      return attached.error();
    }
    for (const std::string& lower : lowers) {
      layers.lowers_.push_back(layers.directory_ + lower.substr(common.size()));
    }
    return layers;
  }

  IdmappedLayers(IdmappedLayers&& other) noexcept
      : directory_(std::exchange(other.directory_, {})), lowers_(std::move(other.lowers_)) {}
  IdmappedLayers& operator=(IdmappedLayers&&) = delete;
  ~IdmappedLayers() {
    if (directory_.empty()) return;
    ::umount2(directory_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    ::rmdir(directory_.c_str());
  }

  const std::vector<std::string>& lowers() const { return lowers_; }

 private:
  explicit IdmappedLayers(std::string directory) : directory_(std::move(directory)) {}
  std::string directory_;
  std::vector<std::string> lowers_;
};

// The flags that the kernel does not let a user namespace clear on a mount it inherited.
unsigned long LockedFlags(const std::string& target) {
  struct Pair {
    unsigned long shown;
    unsigned long flag;
  };
  constexpr std::array kPairs = {Pair{ST_RDONLY, MS_RDONLY},    Pair{ST_NOSUID, MS_NOSUID},
                                 Pair{ST_NODEV, MS_NODEV},      Pair{ST_NOEXEC, MS_NOEXEC},
                                 Pair{ST_NOATIME, MS_NOATIME},  Pair{ST_NODIRATIME, MS_NODIRATIME},
                                 Pair{ST_RELATIME, MS_RELATIME}};
  struct statvfs info {};
  if (::statvfs(target.c_str(), &info) != 0) return 0;
  unsigned long flags = 0;
  for (const Pair& pair : kPairs) {
    if ((info.f_flag & pair.shown) != 0) flags |= pair.flag;
  }
  return flags;
}

// One Mount() under way.
class Mounting {
 public:
  Mounting(const MountSpec& spec, MountOptions options, MountTarget& target)
      : type_(spec.type), source_(spec.source), options_(std::move(options)), target_(target) {}

  Result<void> Run(const std::string& scratch) {
    if (auto prepared = Prepare(); !prepared) return prepared;
    Result<void> made = MakeFirst(scratch);
    if (!made) return made;
    if (user_namespace_ && type_ != "overlay") made = ShiftOwners();
    if (made) made = RestrictBind();
    if (made) made = SetPropagation();
    if (!made && mounted_) TakeBack();
    return made;
  }

 private:
  Result<void> Prepare() {
    if (options_.loop) {
      auto device = AttachLoop(source_, {.read_only = (options_.flags & MS_RDONLY) != 0,
                                         .direct_io = options_.direct_io,
                                         .autoclear = true});
      if (!device) return device.error();
      source_ = device->path;
      loop_ = std::move(device->fd);
    }
    if (options_.uid_map.empty()) return {};
    auto uids = ParseIdMap(options_.uid_map);
    if (!uids) return uids.error();
    auto gids = ParseIdMap(options_.gid_map);
    if (!gids) return gids.error();
    auto user_namespace = MakeUserNamespace(*uids, *gids);
    if (!user_namespace) return user_namespace.error();
    user_namespace_ = std::move(*user_namespace);
    return {};
  }

  // The mount itself, or a remount. That of a read-only bind without new data is RestrictBind()'s.
  Result<void> MakeFirst(const std::string& scratch) {
    constexpr unsigned long kBareRemount = MS_REMOUNT | MS_BIND | MS_RDONLY;
    if ((options_.flags & kBareRemount) == kBareRemount && options_.data.empty()) return {};
    auto place = target_.Resolve();
    if (!place) return place.error();
    if (type_ == "overlay") return MakeOverlay(*place, scratch);
    const std::string data = options_.JoinedData();
    if (data.size() >= static_cast<size_t>(::sysconf(_SC_PAGESIZE))) {
      return Error{E2BIG, "mount options for " + target_.name()};
    }
    return CallMount(*place, data);
  }

  Result<void> CallMount(const std::string& place, const std::string& data) {
    if (::mount(source_.c_str(), place.c_str(), type_.c_str(), options_.flags, data.c_str()) != 0) {
      return LastError("mount " + type_ + " at " + target_.name());
    }
    mounted_ = (options_.flags & MS_REMOUNT) == 0;
    return {};
  }

  Result<void> MakeOverlay(const std::string& place, const std::string& scratch) {
    std::optional<IdmappedLayers> mapped;
    std::vector<std::string> words = options_.data;
    if (user_namespace_) {
      OverlayOptions split = SplitOverlayOptions(words);
      auto layers = IdmappedLayers::Make(split.lowers, user_namespace_.get(), scratch);
      if (!layers) return layers.error();
      mapped.emplace(std::move(*layers));
      words = std::move(split.others);
      words.push_back("lowerdir=" + JoinLowers(mapped->lowers()));
    }
    MountOptions joined;
    joined.data = words;
    const std::string data = joined.JoinedData();
    if (data.size() < LongData()) return CallMount(place, data);
    return MakeLongOverlay(SplitOverlayOptions(words), place);
  }

  Result<void> MakeLongOverlay(const OverlayOptions& split, const std::string& place) {
    auto by_layers = MountOverlayByLayers(source_, split, options_.flags, place);
    if (!by_layers) return by_layers.error();
    if (!*by_layers) {
      if (auto made = MountOverlayRelative(source_, split, options_.flags, place); !made) {
        return made;
      }
    }
    mounted_ = true;
    return {};
  }

  // Replaces the new mount by a copy of it with shifted owners.
  Result<void> ShiftOwners() {
    auto place = target_.Resolve();
    if (!place) return place.error();
    const bool recursive = (options_.flags & MS_REC) != 0;
    auto tree = CloneMountTree(*place, recursive);
    if (!tree) return tree.error();
    if (auto mapped = IdmapTree(tree->get(), user_namespace_.get(), recursive, false); !mapped) {
      return mapped;
    }
    TakeBack();
    place = target_.Resolve();
    if (!place) return place.error();
    if (auto attached = AttachTree(tree->get(), *place); !attached) return attached;
    mounted_ = true;
    return {};
  }

  // A bind takes its flags from the mount it copies; read-only has to be asked for again.
  Result<void> RestrictBind() {
    constexpr unsigned long kReadOnlyBind = MS_BIND | MS_RDONLY;
    if ((options_.flags & kReadOnlyBind) != kReadOnlyBind) return {};
    auto place = target_.Resolve();
    if (!place) return place.error();
    const unsigned long flags = options_.flags | MS_REMOUNT;
    if (::mount("", place->c_str(), "", flags, "") == 0) return {};
    if (errno == EPERM && ::mount("", place->c_str(), "", flags | LockedFlags(*place), "") == 0) {
      return {};
    }
    return LastError("make read-only the bind at " + target_.name());
  }

  Result<void> SetPropagation() {
    if (options_.propagation.empty()) return {};
    auto place = target_.Resolve();
    if (!place) return place.error();
    for (const unsigned long flags : options_.propagation) {
      if (::mount("", place->c_str(), "", flags, "") != 0) {
        return LastError("set the propagation of " + target_.name());
      }
    }
    return {};
  }

  void TakeBack() {
    if (auto place = target_.Resolve()) ::umount2(place->c_str(), MNT_DETACH);
    mounted_ = false;
  }

  const std::string type_;
  std::string source_;
  const MountOptions options_;
  MountTarget& target_;
  UniqueFd loop_;  // keeps the device attached until the mount does
  UniqueFd user_namespace_;
  bool mounted_ = false;
};

}  // namespace

Result<std::string> MountTarget::Resolve() {
  if (root_ < 0) return path_;
  // Opened anew each time: an fd from before a mount stays below that mount.
  auto top = OpenInside(root_, path_, O_PATH);
  if (!top) return top.error();
  top_ = std::move(*top);
  return PathOfFd(top_.get());
}

Result<std::string> MountTarget::RealPath() {
  auto path = Resolve();
  if (!path || root_ < 0) return path;
  std::string real(PATH_MAX, '\0');
  const ssize_t size = ::readlink(path->c_str(), real.data(), real.size());
  if (size < 0) return LastError("read the path of " + path_);
  real.resize(static_cast<size_t>(size));
  return real;
}

Result<void> Mount(const MountSpec& spec, MountTarget target, const std::string& scratch) {
  auto options = ParseMountOptions(spec.options);
  if (!options) return options.error();
  if (IsFuseType(spec.type)) {
    auto place = target.RealPath();
    if (!place) return place.error();
    return MountFuse(spec.type, spec.source, *place, spec.options);
  }
  return Mounting(spec, std::move(*options), target).Run(scratch);
}

Result<ScopedMount> ScopedMount::Make(const MountSpec& spec, std::string target) {
  if (auto mounted = Mount(spec, target); !mounted) return mounted.error();
  return ScopedMount(std::move(target));
}

ScopedMount::~ScopedMount() {
  if (!target_.empty()) ::umount2(target_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}

Result<void> ScopedMount::Unmount() {
  if (target_.empty()) return {};
  if (auto done = kernel::Unmount(target_); !done) return done;
  target_.clear();
  return {};
}

}  // namespace gantry::kernel
