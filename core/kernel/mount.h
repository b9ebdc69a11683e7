// SPDX-License-Identifier: Apache-2.0
// Mounting and unmounting by containerd's rules: option words, loop devices, id-mapped owners,
// overlays whose options are longer than a page, FUSE helpers.
//
// Threads: any; the calling thread's mount namespace and root count. Its working directory is never
// changed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::kernel {

struct MountSpec {
  std::string type;  // of the file system; "bind"; "fuse.X" and "fuse3.X" run a helper program
  std::string source;
  std::vector<std::string> options;  // words, see mount_options.h
};

// Where a mount goes: a path, or a path that must not lead out of a directory.
class MountTarget {
 public:
  MountTarget(std::string path) : path_(std::move(path)) {}  // NOLINT: a path is a target
  MountTarget(const char* path) : path_(path) {}             // NOLINT
  // `path` inside the directory that `root` is open on, symlinks resolved as in a chroot. `root` is
  // borrowed.
  MountTarget(int root, std::string path) : root_(root), path_(std::move(path)) {}

  // A path of what is on top there now, for system calls; valid until the next call.
  Result<std::string> Resolve();
  // The same for other processes.
  Result<std::string> RealPath();

  const std::string& name() const { return path_; }

 private:
  int root_ = -1;  // none: path_ is used as it is
  std::string path_;
  UniqueFd top_;
};

// Makes the mount; on failure nothing is left. `scratch` is a directory for a mount point needed
// while owners of overlay layers are shifted.
//
// Errors: EINVAL as ParseMountOptions(); E2BIG for options longer than a page where no way around
// the limit exists; otherwise those of mount(2).
Result<void> Mount(const MountSpec& spec, MountTarget target, const std::string& scratch = "/tmp");

// Unmounts what is on top at `target`, with `flags` of umount2(2). A busy mount is tried again for
// 2.5 seconds. A place without a mount is success.
Result<void> Unmount(const std::string& target, int flags = 0);

// Unmounts everything stacked at `target`; mounts below it must be gone.
Result<void> UnmountAll(const std::string& target, int flags = 0);

// Unmounts all mounts at or below `path`, deepest first, until none is left.
Result<void> UnmountTree(const std::string& path, int flags = 0);

// A mount that is undone when this object dies.
//
// Ownership: holds the mount point; the directory below it stays the caller's.
// Threads:   one at a time, all in the mount namespace that made it.
class [[nodiscard]] ScopedMount {
 public:
  static Result<ScopedMount> Make(const MountSpec& spec, std::string target);
  // Takes over a mount that exists.
  static ScopedMount Adopt(std::string target) { return ScopedMount(std::move(target)); }

  ScopedMount(ScopedMount&& other) noexcept : target_(std::exchange(other.target_, {})) {}
  ScopedMount& operator=(ScopedMount&&) = delete;
  ~ScopedMount();  // lazily: what is in use goes when its users do

  const std::string& target() const { return target_; }
  Result<void> Unmount();                                       // idempotent
  std::string Release() { return std::exchange(target_, {}); }  // leaves it mounted

 private:
  explicit ScopedMount(std::string target) : target_(std::move(target)) {}
  std::string target_;  // empty once unmounted or released
};

}  // namespace gantry::kernel
