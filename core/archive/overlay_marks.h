// SPDX-License-Identifier: Apache-2.0
// How overlayfs stores deletions in an upper directory (Documentation/filesystems/overlayfs.rst).
#pragma once

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string>

namespace gantry::archive {

inline constexpr char kTrustedOpaque[] = "trusted.overlay.opaque";
inline constexpr char kUserOpaque[] = "user.overlay.opaque";

// The mark for "deleted": a character device 0:0.
inline bool IsOverlayWhiteout(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == ::makedev(0, 0);
}

// Whether the directory that `fd`, an O_PATH one at least, is open on hides those below it.
bool IsOpaque(int fd, const std::string& opaque_xattr);

}  // namespace gantry::archive
