// SPDX-License-Identifier: Apache-2.0
// Archives put together by hand, well-formed or not, and read back whole.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/archive/pax.h"
#include "core/archive/tar_block.h"
#include "core/archive/tar_reader.h"
#include "core/base/status.h"
#include "core/base/stream.h"

namespace gantry::archive {

// The fields of one header block, as text where a test must say what stands there.
struct RawHeader {
  std::string name;
  char flag = '0';
  std::string link = {};
  std::string magic = std::string(
      "ustar\0"
      "00",
      8);
  std::string mode = "0000644";
  std::string uid = "0000000";
  std::string gid = "0000000";
  std::string size = {};  // of the content, unless given
  std::string mtime = "00000000000";
  std::string dev_major = {};
  std::string dev_minor = {};
  std::string prefix = {};
};

inline std::string PadToBlock(std::string bytes) {
  bytes.append((kBlockBytes - bytes.size() % kBlockBytes) % kBlockBytes, '\0');
  return bytes;
}

inline void SetChecksum(std::string& block) {
  std::fill_n(block.begin() + kChecksum.offset, kChecksum.size, ' ');
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  const std::string text = fmt::format("{:06o}", sum) + std::string("\0 ", 2);
  text.copy(block.data() + kChecksum.offset, kChecksum.size);
}

inline std::string HeaderBlock(const RawHeader& header, size_t content_size = 0) {
  std::string block(kBlockBytes, '\0');
  const auto set = [&](Field field, std::string_view text) {
    text.copy(block.data() + field.offset, field.size);
  };
  set(kName, header.name);
  set(kTypeFlag, {&header.flag, 1});
  set(kLink, header.link);
  set(kMagic, header.magic);
  set(kMode, header.mode);
  set(kUid, header.uid);
  set(kGid, header.gid);
  set(kSize, header.size.empty() ? fmt::format("{:011o}", content_size) : header.size);
  set(kMtime, header.mtime);
  set(kDevMajor, header.dev_major);
  set(kDevMinor, header.dev_minor);
  set(kPrefix, header.prefix);
  SetChecksum(block);
  return block;
}

class TarBuilder {
 public:
  TarBuilder& Add(const RawHeader& header, std::string_view content = {}) {
    return Raw(HeaderBlock(header, content.size()) + PadToBlock(std::string(content)));
  }
  TarBuilder& Pax(const std::map<std::string, std::string>& records, char flag = 'x') {
    return Add({.name = "PaxHeaders.0/x", .flag = flag}, FormatPax(records));
  }
  TarBuilder& File(std::string name, std::string_view content = {}) {
    return Add({.name = std::move(name)}, content);
  }
  TarBuilder& Dir(std::string name, std::string mode = "0000755") {
    return Add({.name = std::move(name), .flag = '5', .mode = std::move(mode)});
  }
  TarBuilder& Symlink(std::string name, std::string target) {
    return Add({.name = std::move(name), .flag = '2', .link = std::move(target)});
  }
  TarBuilder& HardLink(std::string name, std::string target) {
    return Add({.name = std::move(name), .flag = '1', .link = std::move(target)});
  }
  TarBuilder& Raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  // With the end marker.
  std::string Done() const { return bytes_ + std::string(2 * kBlockBytes, '\0'); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Base-256, as GNU tar writes numbers that are too big for octal.
inline std::string Base256(int64_t number, size_t size) {
  std::string field(size, number < 0 ? '\xff' : '\0');
  for (size_t i = 0; i < 8 && i < size; ++i) {
    field[size - 1 - i] = static_cast<char>(number >> (8 * i));
  }
  field[0] = static_cast<char>(field[0] | '\x80');
  return field;
}

struct ReadEntry {
  Entry entry;
  std::string content;
};

// Blocks of `block_bytes` each.
class CutBlockReader final : public BlockReader {
 public:
  CutBlockReader(std::string bytes, size_t block_bytes)
      : bytes_(std::move(bytes)), block_bytes_(block_bytes) {}

  absl::StatusOr<std::string_view> NextBlock() override {
    // A copy of its own, so that a sanitizer sees any use of an older block.
    block_ = std::make_unique<std::string>(bytes_.substr(at_, block_bytes_));
    at_ += block_->size();
    return std::string_view(*block_);
  }

 private:
  std::string bytes_;
  size_t block_bytes_;
  size_t at_ = 0;
  std::unique_ptr<std::string> block_;
};

inline absl::StatusOr<std::vector<ReadEntry>> ReadArchive(std::string_view bytes,
                                                          size_t block_bytes = 1 << 16,
                                                          const Limits& limits = {}) {
  CutBlockReader source(std::string(bytes), block_bytes);
  TarReader reader(source, limits);
  std::vector<ReadEntry> entries;
  for (;;) {
    ReadEntry next;
    ASSIGN_OR_RETURN(const bool more, reader.Next(next.entry));
    if (!more) break;
    for (;;) {
      ASSIGN_OR_RETURN(const std::string_view piece, reader.ReadContent());
      if (piece.empty()) break;
      next.content += piece;
    }
    entries.push_back(std::move(next));
  }
  RETURN_IF_ERROR(reader.Drain());
  return entries;
}

}  // namespace gantry::archive
