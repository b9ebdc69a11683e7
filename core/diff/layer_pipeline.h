// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <thread>

#include "absl/status/statusor.h"
#include "core/base/context.h"
#include "core/base/stream.h"
#include "core/diff/block_pipe.h"
#include "core/digest/digest.h"

namespace gantry::diff {

// Bounds on what a layer may unpack to. 0 means none.
struct LayerLimits {
  uint64_t max_bytes = 0;   // uncompressed
  uint64_t max_ratio = 0;   // uncompressed to compressed, once a MiB has come out
  uint64_t max_inodes = 0;  // entries
};

// Decompresses a layer on one thread and hashes it on another, while the owner takes the bytes from
// tar(). Memory is bounded; the slowest of the three sets the pace.
//
// Threads: the owner's calls one at a time.
class LayerPipeline {
 public:
  // Opens the stream, on the pipeline's thread. The context it gets is cancelled when the pipeline
  // goes, also before the caller's is.
  using Open = std::function<absl::StatusOr<std::unique_ptr<Reader>>(const Context&)>;

  // `blob_bytes` is the compressed size, for the ratio.
  LayerPipeline(const Context& ctx, Open open, uint64_t blob_bytes, const LayerLimits& limits);
  ~LayerPipeline();
  LayerPipeline(const LayerPipeline&) = delete;
  LayerPipeline& operator=(const LayerPipeline&) = delete;

  BlockReader& tar() { return pipe_.reader(0); }

  struct Result {
    Digest digest;  // the diff ID
    uint64_t size_bytes = 0;
  };
  // What the whole stream was, after tar() was read to its end.
  Result Finish();

 private:
  void Produce(const Open& open);
  absl::Status Fill(Reader& stream);
  absl::Status CheckLimits() const;

  std::stop_source stop_;
  std::stop_callback<std::function<void()>> caller_stops_;
  Context ctx_;
  const uint64_t blob_bytes_;
  const LayerLimits limits_;
  uint64_t produced_bytes_ = 0;
  BlockPipe pipe_;
  Hasher hasher_;
  std::jthread producer_;
  std::jthread hashing_;
};

}  // namespace gantry::diff
