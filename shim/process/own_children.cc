// SPDX-License-Identifier: Apache-2.0
#include "shim/process/own_children.h"

#include <unistd.h>

#include <charconv>
#include <string>

#include "core/kernel/file.h"

namespace gantry::shim {
namespace {

constexpr size_t kMaxList = 1UL << 20;

}  // namespace

std::vector<pid_t> OwnChildren() {
  const std::string self = std::to_string(::getpid());
  std::vector<pid_t> children;
  const auto list = kernel::ReadFile("/proc/self/task/" + self + "/children", kMaxList);
  if (!list) return children;
  const char* const end = list->data() + list->size();
  for (const char* at = list->data(); at < end;) {
    pid_t child = 0;
    const auto [behind, error] = std::from_chars(at, end, child);
    if (error != std::errc()) break;
    children.push_back(child);
    at = behind + 1;  // one blank follows each
  }
  return children;
}

}  // namespace gantry::shim
