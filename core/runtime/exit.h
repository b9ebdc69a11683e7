// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace gantry::runtime {

// How a process ended.
struct Exit {
  uint32_t pid = 0;
  uint32_t status = 0;                          // its own, or 128 plus the signal that killed it
  absl::Time exited_at = absl::InfinitePast();  // InfinitePast for a process that never ran

  bool operator==(const Exit&) const = default;
};

}  // namespace gantry::runtime
