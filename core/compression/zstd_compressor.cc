// SPDX-License-Identifier: Apache-2.0
#include <zstd.h>

#include <cstdlib>
#include <vector>

#include "core/base/status.h"
#include "core/compression/codecs.h"

namespace gantry::compression {
namespace {

constexpr int kLevel = 3;

class ZstdCompressor final : public Compressor {
 public:
  explicit ZstdCompressor(Writer& sink)
      : sink_(sink), output_(ZSTD_CStreamOutSize()), context_(ZSTD_createCCtx()) {
    if (context_ == nullptr) std::abort();  // out of memory, as operator new would end
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, kLevel);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }

  absl::Status Write(std::string_view bytes) override { return Run(bytes, ZSTD_e_continue); }
  absl::Status Finish() override { return Run({}, ZSTD_e_end); }

 private:
  absl::Status Run(std::string_view bytes, ZSTD_EndDirective mode) {
    ZSTD_inBuffer input = {bytes.data(), bytes.size(), 0};
    for (;;) {
      ZSTD_outBuffer output = {output_.data(), output_.size(), 0};
      const size_t left = ZSTD_compressStream2(context_.get(), &output, &input, mode);
      if (ZSTD_isError(left) != 0) return Internal("zstd: {}", ZSTD_getErrorName(left));
      if (output.pos > 0) RETURN_IF_ERROR(sink_.Write({output_.data(), output.pos}));
      if (mode == ZSTD_e_end ? left == 0 : input.pos == input.size) return absl::OkStatus();
    }
  }

  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };

  Writer& sink_;
  std::vector<char> output_;
  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

}  // namespace

std::unique_ptr<Compressor> NewZstdCompressor(Writer& sink) {
  return std::make_unique<ZstdCompressor>(sink);
}

}  // namespace gantry::compression
