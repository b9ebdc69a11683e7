// SPDX-License-Identifier: Apache-2.0
#include "core/compression/compression.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "core/base/status.h"
#include "core/compression/codecs.h"

namespace gantry::compression {
namespace {

constexpr std::string_view kGzipMagic("\x1f\x8b\x08", 3);
constexpr std::string_view kZstdMagic("\x28\xb5\x2f\xfd", 4);
// 0x184D2A50 to 0x184D2A5F, little-endian, start a frame that decoders skip.
constexpr std::string_view kSkippableMagicTail("\x2a\x4d\x18", 3);

bool IsSkippableFrame(std::string_view head) {
  return head.size() >= 8 && (static_cast<unsigned char>(head[0]) & 0xf0) == 0x50 &&
         head.substr(1, 3) == kSkippableMagicTail;
}

// Hands out bytes that were read ahead, then the rest of the source.
class PrefixedReader final : public Reader {
 public:
  PrefixedReader(std::string head, std::unique_ptr<Reader> rest)
      : head_(std::move(head)), rest_(std::move(rest)) {}

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    if (used_ == head_.size()) return rest_->Read(buffer);
    const size_t count = head_.copy(buffer.data(), buffer.size(), used_);
    used_ += count;
    return count;
  }

 private:
  std::string head_;
  size_t used_ = 0;
  std::unique_ptr<Reader> rest_;
};

class PlainCompressor final : public Compressor {
 public:
  explicit PlainCompressor(Writer& sink) : sink_(sink) {}
  absl::Status Write(std::string_view bytes) override { return sink_.Write(bytes); }
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  Writer& sink_;
};

}  // namespace

std::string_view AlgorithmName(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kGzip:
      return "gzip";
    case Algorithm::kZstd:
      return "zstd";
    case Algorithm::kNone:
      break;
  }
  return "uncompressed";
}

Algorithm Detect(std::string_view head) {
  if (head.starts_with(kGzipMagic)) return Algorithm::kGzip;
  if (head.starts_with(kZstdMagic) || IsSkippableFrame(head)) return Algorithm::kZstd;
  return Algorithm::kNone;
}

std::unique_ptr<Reader> NewDecompressor(Algorithm algorithm, std::unique_ptr<Reader> source) {
  switch (algorithm) {
    case Algorithm::kGzip:
      return NewGzipDecompressor(std::move(source));
    case Algorithm::kZstd:
      return NewZstdDecompressor(std::move(source));
    case Algorithm::kNone:
      break;
  }
  return source;
}

absl::StatusOr<Decompressed> Decompress(std::unique_ptr<Reader> source) {
  std::string head(kSniffBytes, '\0');
  size_t size = 0;
  while (size < head.size()) {
    ASSIGN_OR_RETURN(const size_t count, source->Read(std::span(head).subspan(size)));
    if (count == 0) break;
    size += count;
  }
  head.resize(size);
  const Algorithm algorithm = Detect(head);
  auto whole = std::make_unique<PrefixedReader>(std::move(head), std::move(source));
  return Decompressed{algorithm, NewDecompressor(algorithm, std::move(whole))};
}

std::unique_ptr<Compressor> NewCompressor(Algorithm algorithm, Writer& sink) {
  switch (algorithm) {
    case Algorithm::kGzip:
      return NewGzipCompressor(sink);
    case Algorithm::kZstd:
      return NewZstdCompressor(sink);
    case Algorithm::kNone:
      break;
  }
  return std::make_unique<PlainCompressor>(sink);
}

}  // namespace gantry::compression
