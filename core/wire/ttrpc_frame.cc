// SPDX-License-Identifier: Apache-2.0
#include "core/wire/ttrpc_frame.h"

#include <algorithm>
#include <utility>

namespace gantry::wire {
namespace {

void AppendBigEndian(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

uint32_t ReadBigEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) {
    value = value << 8 | static_cast<unsigned char>(byte);
  }
  return value;
}

}  // namespace

void AppendFrame(std::string& out, uint32_t stream, FrameType type, uint8_t flags,
                 std::string_view data) {
  AppendBigEndian(out, static_cast<uint32_t>(data.size()));
  AppendBigEndian(out, stream);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  out += data;
}

void FrameParser::Feed(std::string_view bytes) {
  if (broken_) return;
  const uint64_t dropped = std::min<uint64_t>(discard_bytes_, bytes.size());
  discard_bytes_ -= dropped;
  bytes.remove_prefix(dropped);
  // Moving the rest to the front costs little when it is short, and keeps the buffer from growing.
  if (start_ > 0) {
    buffer_.erase(0, start_);
    start_ = 0;
  }
  buffer_ += bytes;
}

std::optional<Frame> FrameParser::Next() {
  if (broken_) return std::nullopt;
  if (oversize_) return TakeOversize();
  const std::string_view rest = std::string_view(buffer_).substr(start_);
  if (rest.size() < kFrameHeaderBytes) return std::nullopt;
  const uint32_t length = ReadBigEndian(rest);
  Frame frame{.stream = ReadBigEndian(rest.substr(4)),
              .type = static_cast<FrameType>(rest[8]),
              .flags = static_cast<uint8_t>(rest[9]),
              .oversize = length > kMaxFrameBytes,
              .data = {}};
  if (length > kMaxDiscardBytes) {
    broken_ = true;
    buffer_ = {};
    start_ = 0;
    return std::nullopt;
  }
  if (frame.oversize) {
    const size_t here = std::min<size_t>(length, rest.size() - kFrameHeaderBytes);
    start_ += kFrameHeaderBytes + here;
    discard_bytes_ = length - here;
    oversize_ = std::move(frame);
    return TakeOversize();
  }
  if (rest.size() - kFrameHeaderBytes < length) return std::nullopt;
  frame.data = rest.substr(kFrameHeaderBytes, length);
  start_ += kFrameHeaderBytes + length;
  if (start_ == buffer_.size()) {
    start_ = 0;
    // A connection that is idle after a large message keeps no room for the next.
    if (buffer_.capacity() > 65536) buffer_ = {};
    buffer_.clear();
  }
  return frame;
}

std::optional<Frame> FrameParser::TakeOversize() {
  if (discard_bytes_ > 0) return std::nullopt;
  return std::exchange(oversize_, std::nullopt);
}

}  // namespace gantry::wire
