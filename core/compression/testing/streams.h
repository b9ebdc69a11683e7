// SPDX-License-Identifier: Apache-2.0
// Readers that deliver in awkward pieces or fail, and whole-stream shortcuts.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/status.h"
#include "core/base/stream.h"
#include "core/compression/compression.h"

namespace gantry::testing {

// Delivers its text in pieces of at most `piece` bytes, then `end` (OK means the end of stream).
class PieceReader final : public Reader {
 public:
  PieceReader(std::string text, size_t piece, absl::Status end = absl::OkStatus())
      : text_(std::move(text)), piece_(piece), end_(std::move(end)) {}

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    if (at_ == text_.size() && !end_.ok()) return end_;
    const size_t count = text_.copy(buffer.data(), std::min(piece_, buffer.size()), at_);
    at_ += count;
    return count;
  }

 private:
  std::string text_;
  size_t piece_;
  absl::Status end_;
  size_t at_ = 0;
};

// Everything up to the end, read in pieces of `piece` bytes.
inline absl::StatusOr<std::string> ReadToEnd(Reader& reader, size_t piece = 1 << 16) {
  std::string all;
  std::string buffer(piece, '\0');
  for (;;) {
    ASSIGN_OR_RETURN(const size_t count, reader.Read(buffer));
    if (count == 0) return all;
    all.append(buffer, 0, count);
  }
}

inline absl::StatusOr<std::string> Decompressed(std::string_view bytes, size_t in_piece = 1 << 16,
                                                size_t out_piece = 1 << 16) {
  ASSIGN_OR_RETURN(
      compression::Decompressed stream,
      compression::Decompress(std::make_unique<PieceReader>(std::string(bytes), in_piece)));
  return ReadToEnd(*stream.reader, out_piece);
}

inline absl::StatusOr<std::string> Compressed(compression::Algorithm algorithm,
                                              std::string_view bytes, size_t piece = 1 << 16) {
  StringWriter sink;
  const auto compressor = compression::NewCompressor(algorithm, sink);
  for (size_t at = 0; at < bytes.size(); at += piece) {
    RETURN_IF_ERROR(compressor->Write(bytes.substr(at, piece)));
  }
  RETURN_IF_ERROR(compressor->Finish());
  return sink.text();
}

// `size` bytes that compress, yet not to nothing; the same for the same seed.
inline std::string SampleText(size_t size, uint32_t seed = 1) {
  std::string text;
  text.reserve(size + 16);
  while (text.size() < size) {
    seed = seed * 1664525 + 1013904223;
    if (seed >> 30 == 0) {
      text.append("the same words again ", 16);
    } else {
      text += static_cast<char>(seed >> 24);
    }
  }
  text.resize(size);
  return text;
}

}  // namespace gantry::testing
