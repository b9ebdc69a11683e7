// SPDX-License-Identifier: Apache-2.0
// Byte streams that are pulled (Reader) or pushed (Writer), one stage on top of the other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gantry {

// A source of bytes in order.
//
// Threads: one at a time. An error is final: what a Read() after it answers is not defined.
class Reader {
 public:
  virtual ~Reader() = default;

  // Fills the front of `buffer`, at least one byte and perhaps fewer than asked for, and answers
  // how many; 0 at the end of the stream alone. `buffer` is not empty.
  virtual absl::StatusOr<size_t> Read(std::span<char> buffer) = 0;
};

// A sink for bytes in order.
//
// Threads: one at a time. An error is final.
class Writer {
 public:
  virtual ~Writer() = default;

  // Takes all of `bytes`, or fails.
  virtual absl::Status Write(std::string_view bytes) = 0;
};

// A source that hands out its own memory, for stages that must not copy.
//
// Threads: one at a time. An error is final.
class BlockReader {
 public:
  virtual ~BlockReader() = default;

  // The next bytes, at least one; empty at the end of the stream alone. The view is good until the
  // next call.
  virtual absl::StatusOr<std::string_view> NextBlock() = 0;
};

// Reads bytes that somebody else keeps alive.
class ViewReader final : public Reader {
 public:
  explicit ViewReader(std::string_view bytes) : rest_(bytes) {}

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    const size_t count = std::min(buffer.size(), rest_.size());
    std::memcpy(buffer.data(), rest_.data(), count);
    rest_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view rest_;
};

// Cuts a Reader, which outlives it, into blocks.
class BufferedBlockReader final : public BlockReader {
 public:
  explicit BufferedBlockReader(Reader& source, size_t block_bytes = size_t{1} << 18)
      : source_(source), buffer_(block_bytes, '\0') {}

  absl::StatusOr<std::string_view> NextBlock() override {
    absl::StatusOr<size_t> count = source_.Read(buffer_);
    if (!count.ok()) return std::move(count).status();
    return std::string_view(buffer_).substr(0, *count);
  }

 private:
  Reader& source_;
  std::string buffer_;
};

// Collects what is written.
class StringWriter final : public Writer {
 public:
  absl::Status Write(std::string_view bytes) override {
    text_.append(bytes);
    return absl::OkStatus();
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace gantry
