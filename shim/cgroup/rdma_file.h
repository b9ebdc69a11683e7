// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shim/cgroup/stat_file.h"

namespace gantry::shim::cgroup {

// The lines "mlx4_0 hca_handle=2 hca_object=max" of rdma.current or rdma.max, as the RdmaEntry of
// either version.
template <typename RdmaEntry>
std::vector<RdmaEntry> ReadRdmaFile(const std::string& path) {
  const auto number = [](std::string_view text) {
    return static_cast<uint32_t>(std::min<uint64_t>(NumberOr0(text), UINT32_MAX));
  };
  std::vector<RdmaEntry> entries;
  const LinesFile file(path);
  for (const auto& words : file.lines()) {
    if (words.size() < 2) continue;
    entries.push_back({.device = std::string(words[0]),
                       .hca_handles = number(ValueOf(words, "hca_handle")),
                       .hca_objects = number(ValueOf(words, "hca_object"))});
  }
  return entries;
}

}  // namespace gantry::shim::cgroup
