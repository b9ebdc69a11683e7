// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/mutex.h"
#include "core/base/stream.h"

namespace gantry::diff {

// A ring of blocks between one thread that fills them and several that each read all of them. Who
// is ahead waits: memory stays at `blocks` blocks however long the stream is.
//
// Threads: one for the filling side, one for each reader; Abandon() from any.
class BlockPipe {
 public:
  explicit BlockPipe(size_t readers, size_t blocks = 8, size_t block_bytes = size_t{1} << 18);
  ~BlockPipe();
  BlockPipe(const BlockPipe&) = delete;
  BlockPipe& operator=(const BlockPipe&) = delete;

  // The filling side: waits for a free block and gives its memory, nothing once abandoned.
  std::span<char> Reserve();
  // Hands the reserved block on with its first `bytes` bytes; 0 gives it back.
  void Publish(size_t bytes);
  // Nothing follows: because of the end, or of an error that the readers get after the last block.
  void End(absl::Status status);

  // Number `index` of the readers. Cancelled once abandoned.
  BlockReader& reader(size_t index);

  // Nobody wants the rest. Wakes both sides.
  void Abandon();

 private:
  class Side;

  uint64_t SlowestReader() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t block_bytes_;
  const std::vector<std::unique_ptr<char[]>> blocks_;
  std::vector<std::unique_ptr<Side>> readers_;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<size_t> sizes_ ABSL_GUARDED_BY(mutex_);       // by block
  uint64_t published_ ABSL_GUARDED_BY(mutex_) = 0;          // blocks handed on in all
  std::vector<uint64_t> finished_ ABSL_GUARDED_BY(mutex_);  // blocks done with, by reader
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_ ABSL_GUARDED_BY(mutex_) = absl::OkStatus();
};

}  // namespace gantry::diff
