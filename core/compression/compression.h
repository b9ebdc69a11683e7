// SPDX-License-Identifier: Apache-2.0
// Compressed layers as streams: gzip (RFC 1952), zstd (RFC 8878), and bytes that are neither.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/stream.h"

namespace gantry::compression {

enum class Algorithm { kNone, kGzip, kZstd };

// "uncompressed", "gzip", "zstd".
std::string_view AlgorithmName(Algorithm algorithm);

// What Detect() needs to see of a stream that is at least this long.
inline constexpr size_t kSniffBytes = 8;

// Judges a stream by its first bytes. A shorter or empty head is kNone unless it shows a magic
// number.
Algorithm Detect(std::string_view head);

// Undoes the compression of `source`: every gzip member or zstd frame up to the end of the stream.
//
// Errors: DataLoss when the stream is cut short, fails its checksum or does not decode, and for
// bytes after the last gzip member other than zeros; the source's own errors pass through.
// Memory: under 1 MiB for gzip; for zstd the frame's window, at most 512 MiB.
std::unique_ptr<Reader> NewDecompressor(Algorithm algorithm, std::unique_ptr<Reader> source);

struct Decompressed {
  Algorithm algorithm = Algorithm::kNone;
  std::unique_ptr<Reader> reader;
};

// Reads the head of `source`, detects the algorithm and undoes it.
absl::StatusOr<Decompressed> Decompress(std::unique_ptr<Reader> source);

// A stage that compresses what is written to it. Without Finish() the output is incomplete.
class Compressor : public Writer {
 public:
  // Ends the stream; nothing may be written after it. Does not end the sink.
  virtual absl::Status Finish() = 0;
};

// Compresses into `sink`, which outlives the compressor. Output depends on the input bytes alone,
// not on how they are cut into writes, nor on the time. gzip output carries no name, no time and
// an unknown operating system; it is made for speed and is about 7 % larger than `gzip -6`.
std::unique_ptr<Compressor> NewCompressor(Algorithm algorithm, Writer& sink);

}  // namespace gantry::compression
