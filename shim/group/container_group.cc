// SPDX-License-Identifier: Apache-2.0
#include "shim/group/container_group.h"

#include <array>
#include <cerrno>
#include <string_view>

#include "shim/json/spec_scan.h"

namespace gantry::shim {
namespace {

// In the order in which they count.
constexpr std::array<std::string_view, 2> kGroupAnnotations = {"io.containerd.runc.v2.group",
                                                               "io.kubernetes.cri.sandbox-id"};

}  // namespace

kernel::Result<std::string> GroupOf(const std::string& spec_file, const std::string& id) {
  const auto spec = ScanSpecFile(spec_file, kGroupAnnotations);
  if (!spec && spec.error().err == ENOENT) return id;  // a sandbox need not have a spec
  if (!spec) return spec.error();
  for (const std::string_view annotation : kGroupAnnotations) {
    const auto found = spec->annotations.find(annotation);
    if (found != spec->annotations.end() && !found->second.empty()) return found->second;
  }
  return id;
}

}  // namespace gantry::shim
