// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/user_namespace.h"

#include <cstdio>

#include "core/kernel/file.h"

namespace gantry::kernel {

bool InUserNamespace() {
  const auto map = ReadFile("/proc/self/uid_map", 1 << 16);
  // A kernel without user namespaces has no such file.
  if (!map) return false;
  unsigned long inside = 1;
  unsigned long outside = 1;
  unsigned long count = 0;
  if (std::sscanf(map->c_str(), "%lu %lu %lu", &inside, &outside, &count) != 3) return false;
  return inside != 0 || outside != 0 || count != 4294967295UL;
}

}  // namespace gantry::kernel
