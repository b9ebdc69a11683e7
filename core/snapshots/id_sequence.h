// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/metadata/metadata.h"

namespace gantry::snapshots {

// The numbers of a local driver's directories: growing, each given out once, and recorded as given
// out before any directory bears them. Recorded by the block, so that most numbers cost no
// transaction; what is left of a block at a restart is never used.
//
// Threads: all methods from any thread.
class IdSequence {
 public:
  IdSequence(metadata::Metadata& metadata, const std::string& snapshotter)
      : metadata_(metadata), name_(NameFor(snapshotter)) {}

  absl::StatusOr<uint64_t> Next(const Context& ctx);

  // The stored sequence; its last number is the highest that any directory may bear.
  static std::string NameFor(const std::string& snapshotter) {
    return "snapshot-ids/" + snapshotter;
  }

 private:
  struct Block {
    uint64_t next = 0;
    uint64_t last = 0;
  };

  metadata::Metadata& metadata_;
  const std::string name_;
  base::Mutex mutex_;
  std::vector<Block> blocks_ ABSL_GUARDED_BY(mutex_);  // of concurrent callers; most often one
};

// The number that a trash entry of a local driver stands for.
std::optional<uint64_t> ParseId(std::string_view text);

}  // namespace gantry::snapshots
