// SPDX-License-Identifier: Apache-2.0
// Paths that an image, container or client wrote, resolved by the kernel inside a root:
// openat2(2).
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <string>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::kernel {

enum class Scope {
  kInRoot,   // as in a chroot: "/" and ".." beyond the root mean the root, symlinks too
  kBeneath,  // what leads out of the root is an error (EXDEV)
};

struct ResolveOptions {
  Scope scope = Scope::kInRoot;
  bool follow_symlinks = true;  // false: ELOOP wherever one stands in the path
  bool cross_mounts = true;     // false: EXDEV at a mount point
  mode_t mode = 0;              // for O_CREAT
};

// Opens `path` inside the directory `root`. "Magic" links of /proc are never followed.
Result<UniqueFd> OpenInside(int root, const std::string& path, int flags,
                            const ResolveOptions& options = {});

// mkdir -p of `path` inside the directory `root`, as in a chroot, with symlinks followed there.
// Gives an O_PATH fd of the last directory.
Result<UniqueFd> MakeDirectoriesInside(int root, const std::string& path, mode_t mode);

// A path that names what `fd` is open on, for calls that know paths alone. Valid while `fd` is
// open, in this process.
std::string PathOfFd(int fd);

}  // namespace gantry::kernel
