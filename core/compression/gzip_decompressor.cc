// SPDX-License-Identifier: Apache-2.0
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/compression/codecs.h"

namespace gantry::compression {
namespace {

// ISA-L is slow when fed small pieces.
constexpr size_t kInputBytes = 256 * 1024;
constexpr size_t kMaxOutputBytes = size_t{1} << 30;

// RFC 1952, 2.3.1: member header.
constexpr uint8_t kMagic1 = 0x1f;
constexpr uint8_t kMagic2 = 0x8b;
constexpr uint8_t kDeflate = 8;
constexpr uint8_t kFlagHeaderCrc = 0x02;
constexpr uint8_t kFlagExtra = 0x04;
constexpr uint8_t kFlagName = 0x08;
constexpr uint8_t kFlagComment = 0x10;
constexpr uint8_t kReservedFlags = 0xe0;

absl::Status Truncated() { return DataLoss("gzip: unexpected end of the stream"); }

absl::Status DecodeError(int error) {
  if (error == ISAL_INCORRECT_CHECKSUM) return DataLoss("gzip: checksum or length mismatch");
  return DataLoss("gzip: invalid compressed data");
}

class GzipDecompressor final : public Reader {
 public:
  explicit GzipDecompressor(std::unique_ptr<Reader> source)
      : source_(std::move(source)), input_(kInputBytes) {
    isal_inflate_init(&state_);
    // Members' headers are read here, since ISA-L 2.30 computes the header checksum wrongly; it
    // checks the trailers.
    state_.crc_flag = ISAL_GZIP_NO_HDR_VER;
    state_.block_state = ISAL_BLOCK_FINISH;
  }

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    const size_t wanted = std::min(buffer.size(), kMaxOutputBytes);
    state_.next_out = reinterpret_cast<uint8_t*>(buffer.data());
    state_.avail_out = static_cast<uint32_t>(wanted);
    while (state_.avail_out == wanted) {
      if (state_.block_state == ISAL_BLOCK_FINISH) {
        ASSIGN_OR_RETURN(const bool more, NextMember());
        if (!more) return 0;
      }
      RETURN_IF_ERROR(Step());
    }
    return wanted - state_.avail_out;
  }

 private:
  // Decodes once, with fresh input where there is none left.
  absl::Status Step() {
    if (state_.avail_in == 0) RETURN_IF_ERROR(Fill());
    // With the input at its end the decoder may still hold output that did not fit before.
    const uint32_t in = state_.avail_in;
    const uint32_t out = state_.avail_out;
    const auto state_before = state_.block_state;
    const int result = isal_inflate(&state_);
    if (result < 0) return DecodeError(result);
    const bool stuck =
        in == state_.avail_in && out == state_.avail_out && state_before == state_.block_state;
    if (!stuck) return absl::OkStatus();
    return ended_ ? Truncated() : DecodeError(ISAL_INVALID_BLOCK);
  }

  absl::Status Fill() {
    if (ended_) return absl::OkStatus();
    ASSIGN_OR_RETURN(const size_t count, source_->Read(input_));
    ended_ = count == 0;
    state_.next_in = reinterpret_cast<uint8_t*>(input_.data());
    state_.avail_in = static_cast<uint32_t>(count);
    return absl::OkStatus();
  }

  // Stands before a member or at the end of the stream: true once the member's header is read.
  // Some writers fill up with zeros behind the last member, which are skipped.
  absl::StatusOr<bool> NextMember() {
    bool padded = false;
    for (;;) {
      if (state_.avail_in == 0) RETURN_IF_ERROR(Fill());
      if (state_.avail_in == 0) return false;
      if (*state_.next_in != 0 || !started_) break;
      padded = true;
      ++state_.next_in;
      --state_.avail_in;
    }
    if (padded) return DataLoss("gzip: garbage after the last member");
    RETURN_IF_ERROR(ReadHeader());
    started_ = true;
    isal_inflate_reset(&state_);
    return true;
  }

  absl::Status ReadHeader() {
    header_crc_ = 0;
    std::array<uint8_t, 10> fixed = {};
    for (uint8_t& byte : fixed) {
      ASSIGN_OR_RETURN(byte, HeaderByte());
    }
    const uint8_t flags = fixed[3];
    if (fixed[0] != kMagic1 || fixed[1] != kMagic2) {
      return started_ ? DataLoss("gzip: garbage after the last member")
                      : DataLoss("gzip: invalid header");
    }
    if (fixed[2] != kDeflate || (flags & kReservedFlags) != 0) {
      return DataLoss("gzip: invalid header");
    }
    if ((flags & kFlagExtra) != 0) RETURN_IF_ERROR(SkipExtra());
    if ((flags & kFlagName) != 0) RETURN_IF_ERROR(SkipText());
    if ((flags & kFlagComment) != 0) RETURN_IF_ERROR(SkipText());
    if ((flags & kFlagHeaderCrc) == 0) return absl::OkStatus();
    const uint32_t expected = header_crc_ & 0xffff;
    ASSIGN_OR_RETURN(const uint32_t found, HeaderShort());
    return found == expected ? absl::OkStatus() : DataLoss("gzip: header checksum mismatch");
  }

  absl::Status SkipExtra() {
    ASSIGN_OR_RETURN(const uint32_t size, HeaderShort());
    for (uint32_t i = 0; i < size; ++i) RETURN_IF_ERROR(HeaderByte().status());
    return absl::OkStatus();
  }

  absl::Status SkipText() {
    for (;;) {
      ASSIGN_OR_RETURN(const uint8_t byte, HeaderByte());
      if (byte == 0) return absl::OkStatus();
    }
  }

  absl::StatusOr<uint32_t> HeaderShort() {
    ASSIGN_OR_RETURN(const uint32_t low, HeaderByte());
    ASSIGN_OR_RETURN(const uint32_t high, HeaderByte());
    return low | high << 8;
  }

  absl::StatusOr<uint8_t> HeaderByte() {
    if (state_.avail_in == 0) RETURN_IF_ERROR(Fill());
    if (state_.avail_in == 0) return Truncated();
    const uint8_t byte = *state_.next_in;
    header_crc_ = crc32_gzip_refl(header_crc_, &byte, 1);
    ++state_.next_in;
    --state_.avail_in;
    return byte;
  }

  std::unique_ptr<Reader> source_;
  std::vector<char> input_;
  bool ended_ = false;
  bool started_ = false;  // a member was met
  uint32_t header_crc_ = 0;
  inflate_state state_ = {};
};

}  // namespace

std::unique_ptr<Reader> NewGzipDecompressor(std::unique_ptr<Reader> source) {
  return std::make_unique<GzipDecompressor>(std::move(source));
}

}  // namespace gantry::compression
