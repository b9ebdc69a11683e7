// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/snapshots/snapshotter.h"

namespace gantry::snapshots {

// A snapshot as it is stored.
struct Snapshot {
  Info info;
  std::string backend_key;  // "<namespace>/<n>/<key>", or what a proxy calls a snapshot it provided
  uint64_t local_id = 0;    // of a local driver's directory; 0 for a proxy's snapshot
  Usage usage;              // of a committed snapshot of a local driver
};

std::string EncodeSnapshot(const Snapshot& snapshot);
absl::StatusOr<Snapshot> DecodeSnapshot(std::string_view name, std::string_view bytes);

}  // namespace gantry::snapshots
