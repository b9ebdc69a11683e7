// SPDX-License-Identifier: Apache-2.0
#include "core/diff/layer_pipeline.h"

#include <pthread.h>

#include <span>
#include <utility>

#include "core/base/status.h"

namespace gantry::diff {
namespace {

constexpr uint64_t kRatioFreeBytes = uint64_t{1} << 20;

void NameThread(const char* name) { ::pthread_setname_np(::pthread_self(), name); }

}  // namespace

LayerPipeline::LayerPipeline(const Context& ctx, Open open, uint64_t blob_bytes,
                             const LayerLimits& limits)
    : caller_stops_(ctx.stop, [this] { stop_.request_stop(); }),
      ctx_(ctx),
      blob_bytes_(blob_bytes),
      limits_(limits),
      pipe_(/*readers=*/2) {
  ctx_.stop = stop_.get_token();
  producer_ = std::jthread([this, open = std::move(open)] {
    NameThread("layer-inflate");
    Produce(open);
  });
  hashing_ = std::jthread([this] {
    NameThread("layer-hash");
    for (;;) {
      const auto block = pipe_.reader(1).NextBlock();
      if (!block.ok() || block->empty()) return;  // tar() gets the same error
      hasher_.Update(*block);
    }
  });
}

LayerPipeline::~LayerPipeline() {
  stop_.request_stop();
  pipe_.Abandon();
}

void LayerPipeline::Produce(const Open& open) {
  absl::StatusOr<std::unique_ptr<Reader>> stream = open(ctx_);
  pipe_.End(stream.ok() ? Fill(**stream) : stream.status());
}

absl::Status LayerPipeline::Fill(Reader& stream) {
  for (;;) {
    RETURN_IF_ERROR(ctx_.Check());
    const std::span<char> block = pipe_.Reserve();
    if (block.empty()) return absl::OkStatus();  // nobody is there to be told
    size_t filled = 0;
    bool more = true;
    while (filled < block.size() && more) {
      ASSIGN_OR_RETURN(const size_t count, stream.Read(block.subspan(filled)));
      more = count > 0;
      filled += count;
    }
    produced_bytes_ += filled;
    RETURN_IF_ERROR(CheckLimits());
    pipe_.Publish(filled);
    if (!more) return absl::OkStatus();
  }
}

absl::Status LayerPipeline::CheckLimits() const {
  if (limits_.max_bytes > 0 && produced_bytes_ > limits_.max_bytes) {
    return ResourceExhausted("layer of more than {} bytes", limits_.max_bytes);
  }
  // Whole blob against what has come so far: a bomb shows before its end all the same.
  if (limits_.max_ratio > 0 && produced_bytes_ > kRatioFreeBytes &&
      produced_bytes_ / limits_.max_ratio > blob_bytes_) {
    return ResourceExhausted("layer with a compression ratio above {}", limits_.max_ratio);
  }
  return absl::OkStatus();
}

LayerPipeline::Result LayerPipeline::Finish() {
  producer_.join();
  hashing_.join();
  return {hasher_.Current(), hasher_.size_bytes()};
}

}  // namespace gantry::diff
