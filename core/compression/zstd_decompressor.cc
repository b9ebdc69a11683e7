// SPDX-License-Identifier: Apache-2.0
#include <zstd.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/compression/codecs.h"

namespace gantry::compression {
namespace {

// 512 MiB, the largest window that layers may ask for.
constexpr int kMaxWindowLog = 29;
constexpr size_t kInputBytes = 256 * 1024;

class ZstdDecompressor final : public Reader {
 public:
  explicit ZstdDecompressor(std::unique_ptr<Reader> source)
      : source_(std::move(source)), buffer_(kInputBytes), context_(ZSTD_createDCtx()) {
    if (context_ == nullptr) std::abort();  // out of memory, as operator new would end
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  }

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    ZSTD_outBuffer output = {buffer.data(), buffer.size(), 0};
    while (output.pos == 0) {
      if (input_.pos == input_.size && !ended_) {
        ASSIGN_OR_RETURN(const size_t count, source_->Read(buffer_));
        ended_ = count == 0;
        input_ = {buffer_.data(), count, 0};
      }
      if (input_.pos == input_.size && ended_ && between_frames_) return 0;
      const size_t before = input_.pos;
      // 0 once a frame is complete and its output flushed; the next call starts another one.
      const size_t result = ZSTD_decompressStream(context_.get(), &output, &input_);
      if (ZSTD_isError(result) != 0) return DataLoss("zstd: {}", ZSTD_getErrorName(result));
      between_frames_ = result == 0;
      if (ended_ && output.pos == 0 && input_.pos == before && !between_frames_) {
        return DataLoss("zstd: unexpected end of the stream");
      }
    }
    return output.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  std::unique_ptr<Reader> source_;
  std::vector<char> buffer_;
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  ZSTD_inBuffer input_ = {nullptr, 0, 0};
  bool between_frames_ = true;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Reader> NewZstdDecompressor(std::unique_ptr<Reader> source) {
  return std::make_unique<ZstdDecompressor>(std::move(source));
}

}  // namespace gantry::compression
