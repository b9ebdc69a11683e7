// SPDX-License-Identifier: Apache-2.0
#include "core/diff/block_pipe.h"

#include <algorithm>
#include <utility>

#include "core/base/status.h"

namespace gantry::diff {
namespace {

std::vector<std::unique_ptr<char[]>> MakeBlocks(size_t count, size_t bytes) {
  std::vector<std::unique_ptr<char[]>> blocks(count);
  for (auto& block : blocks) block = std::make_unique_for_overwrite<char[]>(bytes);
  return blocks;
}

}  // namespace

// One reader's view.
class BlockPipe::Side final : public BlockReader {
 public:
  Side(BlockPipe& pipe, size_t index) : pipe_(pipe), index_(index) {}

  absl::StatusOr<std::string_view> NextBlock() override {
    base::MutexLock lock(pipe_.mutex_);
    uint64_t& finished = pipe_.finished_[index_];
    if (std::exchange(holding_, false)) {
      ++finished;
      pipe_.changed_.NotifyAll();
    }
    while (pipe_.published_ == finished && !pipe_.ended_ && !pipe_.abandoned_) {
      pipe_.changed_.Wait(pipe_.mutex_);
    }
    if (pipe_.abandoned_) return Cancelled("the stream was abandoned");
    if (pipe_.published_ == finished) {
      if (!pipe_.end_.ok()) return pipe_.end_;
      return std::string_view();
    }
    holding_ = true;
    const size_t slot = finished % pipe_.blocks_.size();
    return std::string_view(pipe_.blocks_[slot].get(), pipe_.sizes_[slot]);
  }

 private:
  BlockPipe& pipe_;
  const size_t index_;
  bool holding_ = false;  // the block given last is still in use
};

BlockPipe::BlockPipe(size_t readers, size_t blocks, size_t block_bytes)
    : block_bytes_(block_bytes),
      blocks_(MakeBlocks(blocks, block_bytes)),
      sizes_(blocks),
      finished_(readers) {
  for (size_t i = 0; i < readers; ++i) readers_.push_back(std::make_unique<Side>(*this, i));
}

BlockPipe::~BlockPipe() = default;

uint64_t BlockPipe::SlowestReader() const {
  return *std::min_element(finished_.begin(), finished_.end());
}

std::span<char> BlockPipe::Reserve() {
  base::MutexLock lock(mutex_);
  while (published_ - SlowestReader() == blocks_.size() && !abandoned_) changed_.Wait(mutex_);
  if (abandoned_) return {};
  return {blocks_[published_ % blocks_.size()].get(), block_bytes_};
}

void BlockPipe::Publish(size_t bytes) {
  if (bytes == 0) return;
  base::MutexLock lock(mutex_);
  sizes_[published_ % blocks_.size()] = bytes;
  ++published_;
  changed_.NotifyAll();
}

void BlockPipe::End(absl::Status status) {
  base::MutexLock lock(mutex_);
  ended_ = true;
  end_ = std::move(status);
  changed_.NotifyAll();
}

void BlockPipe::Abandon() {
  base::MutexLock lock(mutex_);
  abandoned_ = true;
  changed_.NotifyAll();
}

BlockReader& BlockPipe::reader(size_t index) { return *readers_[index]; }

}  // namespace gantry::diff
