// SPDX-License-Identifier: Apache-2.0
// Maps of sparse members in GNU's four ways of writing them.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/archive/entry.h"
#include "core/archive/tar_block.h"

namespace gantry::archive {

using SparseMap = std::vector<SparseRun>;

// Appends a run; InvalidArgument when the map is full.
absl::Status AppendRun(SparseMap& map, int64_t offset, int64_t size, size_t max_runs);

// Formats 0.0 and 0.1: decimal numbers with commas between.
absl::StatusOr<SparseMap> ParseSparseList(std::string_view text, size_t max_runs);

// The old GNU format: the items in one header or continuation block.
absl::Status AppendOldGnuRuns(std::string_view items, size_t max_runs, SparseMap& map);

// Format 1.0: decimal numbers, each on a line, in whole blocks before the content.
class SparseMapParser {
 public:
  explicit SparseMapParser(size_t max_runs) : max_runs_(max_runs) {}

  // Takes the next block. True once the map is complete.
  absl::StatusOr<bool> Feed(std::string_view block);
  SparseMap Take() && { return std::move(map_); }

 private:
  absl::StatusOr<bool> TakeNumber();

  size_t max_runs_;
  int64_t number_ = 0;
  size_t digits_ = 0;
  int64_t count_ = -1;   // runs announced
  int64_t offset_ = -1;  // of the run whose size comes next
  SparseMap map_;
};

// InvalidArgument unless runs ascend without overlap, end at or below `logical_size` and add up to
// `stored_size`, the content that the archive holds.
absl::Status CheckSparseMap(const SparseMap& map, uint64_t logical_size, uint64_t stored_size);

}  // namespace gantry::archive
