// SPDX-License-Identifier: Apache-2.0
// ttrpc's frames: a header of ten bytes (data length and stream id in big-endian order, type,
// flags), then the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gantry::wire {

inline constexpr size_t kFrameHeaderBytes = 10;
// The most data that a frame may carry.
inline constexpr size_t kMaxFrameBytes = 4UL << 20;
// A peer that announces more than this does not speak ttrpc.
inline constexpr size_t kMaxDiscardBytes = 64UL << 20;

// Values beyond these travel too; a receiver ignores them.
enum class FrameType : uint8_t { kRequest = 1, kResponse = 2, kData = 3 };

inline constexpr uint8_t kFlagRemoteClosed = 1;  // the sender has nothing more to send
inline constexpr uint8_t kFlagRemoteOpen = 2;    // the sender will send data
inline constexpr uint8_t kFlagNoData = 4;        // the frame carries no message

struct Frame {
  uint32_t stream = 0;
  FrameType type = FrameType::kRequest;
  uint8_t flags = 0;
  bool oversize = false;  // its data was longer than allowed and is dropped
  std::string data;
};

void AppendFrame(std::string& out, uint32_t stream, FrameType type, uint8_t flags,
                 std::string_view data);

// Cuts a stream of bytes into frames. Holds at most one frame and what Feed() was given beyond it.
class FrameParser {
 public:
  // Take the frames out with Next() before feeding on.
  void Feed(std::string_view bytes);

  // The next whole frame; nothing when more bytes are needed, or once the input is broken.
  std::optional<Frame> Next();

  // The peer announced a frame beyond kMaxDiscardBytes: the connection cannot go on.
  bool broken() const { return broken_; }
  size_t buffered_bytes() const { return buffer_.size() - start_; }

 private:
  std::optional<Frame> TakeOversize();

  std::string buffer_;
  size_t start_ = 0;            // of what is not yet taken
  uint64_t discard_bytes_ = 0;  // still to come of an oversize frame
  std::optional<Frame> oversize_;
  bool broken_ = false;
};

}  // namespace gantry::wire
