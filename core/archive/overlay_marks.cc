// SPDX-License-Identifier: Apache-2.0
#include "core/archive/overlay_marks.h"

#include <sys/xattr.h>

#include "core/kernel/resolve.h"

namespace gantry::archive {

bool IsOpaque(int fd, const std::string& opaque_xattr) {
  char value = '\0';
  const std::string path = kernel::PathOfFd(fd);
  return ::getxattr(path.c_str(), opaque_xattr.c_str(), &value, 1) == 1 && value == 'y';
}

}  // namespace gantry::archive
