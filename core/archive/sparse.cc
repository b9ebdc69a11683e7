// SPDX-License-Identifier: Apache-2.0
#include "core/archive/sparse.h"

#include <optional>
#include <utility>

#include "core/base/status.h"

namespace gantry::archive {
namespace {

absl::Status Malformed() { return InvalidArgument("tar: malformed sparse map"); }

}  // namespace

absl::Status AppendRun(SparseMap& map, int64_t offset, int64_t size, size_t max_runs) {
  if (offset < 0 || size < 0) return Malformed();
  if (map.size() == max_runs) return InvalidArgument("tar: more than {} sparse runs", max_runs);
  map.push_back({static_cast<uint64_t>(offset), static_cast<uint64_t>(size)});
  return absl::OkStatus();
}

absl::StatusOr<SparseMap> ParseSparseList(std::string_view text, size_t max_runs) {
  SparseMap map;
  bool have_offset = false;
  int64_t offset = 0;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::optional<int64_t> number = ParseDecimal(text.substr(0, comma));
    if (!number) return Malformed();
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (have_offset) RETURN_IF_ERROR(AppendRun(map, offset, *number, max_runs));
    offset = *number;
    have_offset = !have_offset;
  }
  if (have_offset) return Malformed();
  return map;
}

absl::Status AppendOldGnuRuns(std::string_view items, size_t max_runs, SparseMap& map) {
  for (; items.size() >= kGnuSparseItemBytes; items.remove_prefix(kGnuSparseItemBytes)) {
    if (items[0] == '\0') break;
    const std::optional<int64_t> offset = ParseNumber(items.substr(0, 12));
    const std::optional<int64_t> size = ParseNumber(items.substr(12, 12));
    if (!offset || !size) return Malformed();
    RETURN_IF_ERROR(AppendRun(map, *offset, *size, max_runs));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> SparseMapParser::Feed(std::string_view block) {
  for (const char c : block) {
    if (c == '\n') {
      ASSIGN_OR_RETURN(const bool complete, TakeNumber());
      if (complete) return true;  // the rest of the block is filling
      continue;
    }
    if (c < '0' || c > '9' || ++digits_ > 18) return Malformed();
    number_ = number_ * 10 + (c - '0');
  }
  return false;
}

absl::StatusOr<bool> SparseMapParser::TakeNumber() {
  if (digits_ == 0) return Malformed();
  const int64_t number = std::exchange(number_, 0);
  digits_ = 0;
  if (count_ < 0) {
    count_ = number;
  } else if (offset_ < 0) {
    offset_ = number;
  } else {
    RETURN_IF_ERROR(AppendRun(map_, std::exchange(offset_, -1), number, max_runs_));
  }
  return offset_ < 0 && map_.size() == static_cast<size_t>(count_);
}

absl::Status CheckSparseMap(const SparseMap& map, uint64_t logical_size, uint64_t stored_size) {
  uint64_t end = 0;
  uint64_t sum = 0;
  for (const SparseRun& run : map) {
    // Neither number exceeds 2^63 - 1, so the sums do not wrap.
    if (run.offset < end || run.offset + run.size > logical_size) return Malformed();
    end = run.offset + run.size;
    sum += run.size;
  }
  if (sum != stored_size) return InvalidArgument("tar: sparse map and content differ in size");
  return absl::OkStatus();
}

}  // namespace gantry::archive
