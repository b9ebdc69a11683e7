// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/id_sequence.h"

#include <charconv>
#include <system_error>

namespace gantry::snapshots {
namespace {
constexpr uint64_t kBlockSize = 64;
}  // namespace

absl::StatusOr<uint64_t> IdSequence::Next(const Context& ctx) {
  {
    base::MutexLock lock(mutex_);
    if (!blocks_.empty()) {
      Block& block = blocks_.back();
      const uint64_t id = block.next++;
      if (block.next > block.last) blocks_.pop_back();
      return id;
    }
  }
  ASSIGN_OR_RETURN(const uint64_t last, metadata_.Write(ctx, [&](metadata::WriteTxn& txn) {
    return txn.NextSequence(name_, kBlockSize);
  }));
  const uint64_t first = last - kBlockSize + 1;
  base::MutexLock lock(mutex_);
  blocks_.push_back({.next = first + 1, .last = last});
  return first;
}

std::optional<uint64_t> ParseId(std::string_view text) {
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

}  // namespace gantry::snapshots
