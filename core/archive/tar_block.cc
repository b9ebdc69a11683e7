// SPDX-License-Identifier: Apache-2.0
#include "core/archive/tar_block.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

namespace gantry::archive {
namespace {

constexpr std::string_view kUstarMagic("ustar\0", 6);
constexpr std::string_view kGnuMagic("ustar  \0", 8);
constexpr std::string_view kStarTrailerText("tar\0", 4);

std::optional<int64_t> ParseBase256(std::string_view field) {
  // Two's complement, big-endian, behind the marker bit.
  const bool negative = (static_cast<unsigned char>(field[0]) & 0x40) != 0;
  const unsigned char flip = negative ? 0xff : 0;
  uint64_t value = 0;
  for (size_t i = 0; i < field.size(); ++i) {
    unsigned char byte = static_cast<unsigned char>(field[i]) ^ flip;
    if (i == 0) byte &= 0x7f;
    if (value >> 56 != 0) return std::nullopt;
    value = value << 8 | byte;
  }
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return negative ? ~static_cast<int64_t>(value) : static_cast<int64_t>(value);
}

std::optional<int64_t> ParseOctal(std::string_view field) {
  constexpr std::string_view kBlank(" \0", 2);
  const size_t start = field.find_first_not_of(kBlank);
  if (start == std::string_view::npos) return 0;
  field.remove_prefix(start);
  field = field.substr(0, field.find_last_not_of(kBlank) + 1);
  field = field.substr(0, field.find('\0'));
  uint64_t value = 0;
  for (const char digit : field) {
    if (digit < '0' || digit > '7' || value >> 60 != 0) return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(digit - '0');
  }
  return static_cast<int64_t>(value);
}

}  // namespace

std::optional<int64_t> ParseNumber(std::string_view field) {
  return (static_cast<unsigned char>(field[0]) & 0x80) != 0 ? ParseBase256(field)
                                                            : ParseOctal(field);
}

std::optional<int64_t> ParseDecimal(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string_view TarBlock::Text(Field field) const {
  const std::string_view raw = Raw(field);
  return raw.substr(0, raw.find('\0'));
}

std::optional<int64_t> TarBlock::Number(Field field) const { return ParseNumber(Raw(field)); }

bool TarBlock::IsZero() const {
  return bytes_[0] == 0 && std::memcmp(bytes_, bytes_ + 1, kBlockBytes - 1) == 0;
}

bool TarBlock::ChecksumMatches() const {
  const std::optional<int64_t> stored = ParseOctal(Raw(kChecksum));
  if (!stored) return false;
  int64_t as_unsigned = 0;
  int64_t as_signed = 0;
  for (size_t i = 0; i < kBlockBytes; ++i) {
    const bool in_checksum = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    const char byte = in_checksum ? ' ' : bytes_[i];
    as_unsigned += static_cast<unsigned char>(byte);
    as_signed += static_cast<signed char>(byte);
  }
  return *stored == as_unsigned || *stored == as_signed;
}

Dialect TarBlock::dialect() const {
  const std::string_view magic = Raw(kMagic);
  if (magic == kGnuMagic) return Dialect::kGnu;
  if (!magic.starts_with(kUstarMagic)) return Dialect::kV7;
  return Raw(kStarTrailer) == kStarTrailerText ? Dialect::kStar : Dialect::kUstar;
}

void TarBlockBuilder::SetText(Field field, std::string_view text) {
  text.copy(bytes_.data() + field.offset, field.size);
}

bool TarBlockBuilder::FitsOctal(Field field, uint64_t number) {
  const size_t bits = (field.size - 1) * 3;
  return bits >= 64 || number >> bits == 0;
}

void TarBlockBuilder::SetOctal(Field field, uint64_t number) {
  if (!FitsOctal(field, number)) number = 0;
  for (size_t i = field.size - 1; i-- > 0;) {
    bytes_[field.offset + i] = static_cast<char>('0' + (number & 7));
    number >>= 3;
  }
}

std::string_view TarBlockBuilder::Finish() {
  SetText(kMagic, std::string_view("ustar\0"
                                   "00",
                                   8));
  std::fill_n(bytes_.begin() + kChecksum.offset, kChecksum.size, ' ');
  uint64_t sum = 0;
  for (const char byte : bytes_) sum += static_cast<unsigned char>(byte);
  // Six digits, NUL, blank.
  SetOctal({kChecksum.offset, kChecksum.size - 1}, sum);
  bytes_[kChecksum.offset + 6] = '\0';
  return {bytes_.data(), bytes_.size()};
}

}  // namespace gantry::archive
