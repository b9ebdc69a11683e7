// SPDX-License-Identifier: Apache-2.0
#include <isa-l/igzip_lib.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/base/status.h"
#include "core/compression/codecs.h"

namespace gantry::compression {
namespace {

// Level 2 of 0 to 3: twice as fast as 3 and within 1 % of its size.
constexpr uint32_t kLevel = 2;
constexpr size_t kLevelBufferBytes = ISAL_DEF_LVL2_DEFAULT;
// The encoder sees its input in pieces of exactly this size, since its choices depend on the cuts.
constexpr size_t kInputBytes = 256 * 1024;
constexpr size_t kOutputBytes = 256 * 1024;

class GzipCompressor final : public Compressor {
 public:
  explicit GzipCompressor(Writer& sink)
      : sink_(sink), output_(kOutputBytes), level_buffer_(kLevelBufferBytes) {
    input_.reserve(kInputBytes);
    isal_deflate_init(&stream_);
    stream_.level = kLevel;
    stream_.level_buf = level_buffer_.data();
    stream_.level_buf_size = static_cast<uint32_t>(level_buffer_.size());
    // Header with neither name nor time and operating system 255, trailer with CRC-32 and length.
    stream_.gzip_flag = IGZIP_GZIP;
  }

  absl::Status Write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const std::string_view piece = bytes.substr(0, kInputBytes - input_.size());
      input_.insert(input_.end(), piece.begin(), piece.end());
      bytes.remove_prefix(piece.size());
      if (input_.size() == kInputBytes) RETURN_IF_ERROR(Run(/*last=*/false));
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override { return Run(/*last=*/true); }

 private:
  absl::Status Run(bool last) {
    stream_.next_in = input_.data();
    stream_.avail_in = static_cast<uint32_t>(input_.size());
    stream_.end_of_stream = last ? 1 : 0;
    stream_.flush = NO_FLUSH;
    do {
      stream_.next_out = output_.data();
      stream_.avail_out = static_cast<uint32_t>(output_.size());
      const int result = isal_deflate(&stream_);
      if (result != COMP_OK) return Internal("gzip: encoder error {}", result);
      const size_t made = output_.size() - stream_.avail_out;
      if (made > 0) {
        RETURN_IF_ERROR(sink_.Write({reinterpret_cast<const char*>(output_.data()), made}));
      }
    } while (stream_.avail_out == 0);
    input_.clear();
    return absl::OkStatus();
  }

  Writer& sink_;
  std::vector<uint8_t> input_;
  std::vector<uint8_t> output_;
  std::vector<uint8_t> level_buffer_;
  isal_zstream stream_ = {};
};

}  // namespace

std::unique_ptr<Compressor> NewGzipCompressor(Writer& sink) {
  return std::make_unique<GzipCompressor>(sink);
}

}  // namespace gantry::compression
