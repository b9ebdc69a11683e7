// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/user_namespace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "core/kernel/file.h"

namespace gantry::kernel {

bool InUserNamespace() {
  const auto map = ReadFile("/proc/self/uid_map", 1 << 16);
  // A kernel without user namespaces has no such file.
  if (!map) return false;
  // One line, "INSIDE OUTSIDE COUNT", of the whole range.
  std::array<uint64_t, 3> numbers{};
  const char* next = map->data();
  const char* const end = next + map->size();
  for (uint64_t& number : numbers) {
    next = std::find_if(next, end, [](char c) { return c != ' '; });
    const auto read = std::from_chars(next, end, number);
    if (read.ec != std::errc()) return false;
    next = read.ptr;
  }
  return numbers != std::array<uint64_t, 3>{0, 0, 4294967295};
}

}  // namespace gantry::kernel
