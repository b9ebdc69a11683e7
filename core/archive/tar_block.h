// SPDX-License-Identifier: Apache-2.0
// The 512-byte header block of tar in its dialects: v7, ustar and pax (POSIX.1-2001), GNU, star.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace gantry::archive {

inline constexpr size_t kBlockBytes = 512;

// Where a field stands in the block.
struct Field {
  size_t offset = 0;
  size_t size = 0;
};

inline constexpr Field kName = {0, 100};
inline constexpr Field kMode = {100, 8};
inline constexpr Field kUid = {108, 8};
inline constexpr Field kGid = {116, 8};
inline constexpr Field kSize = {124, 12};
inline constexpr Field kMtime = {136, 12};
inline constexpr Field kChecksum = {148, 8};
inline constexpr Field kTypeFlag = {156, 1};
inline constexpr Field kLink = {157, 100};
inline constexpr Field kMagic = {257, 8};
inline constexpr Field kUserName = {265, 32};
inline constexpr Field kGroupName = {297, 32};
inline constexpr Field kDevMajor = {329, 8};
inline constexpr Field kDevMinor = {337, 8};
inline constexpr Field kPrefix = {345, 155};
inline constexpr Field kStarPrefix = {345, 131};
inline constexpr Field kStarAtime = {476, 12};
inline constexpr Field kStarTrailer = {508, 4};
inline constexpr Field kGnuAtime = {345, 12};
inline constexpr Field kGnuCtime = {357, 12};
inline constexpr Field kGnuSparse = {386, 96};
inline constexpr Field kGnuIsExtended = {482, 1};
inline constexpr Field kGnuRealSize = {483, 12};

// In a continuation block of the old GNU sparse format.
inline constexpr Field kGnuMoreSparse = {0, 504};
inline constexpr Field kGnuMoreIsExtended = {504, 1};
inline constexpr size_t kGnuSparseItemBytes = 24;  // offset and size, 12 each

enum class Dialect { kV7, kUstar, kStar, kGnu };

// A view of one block, which it does not own.
class TarBlock {
 public:
  explicit TarBlock(const char* bytes) : bytes_(bytes) {}

  std::string_view Raw(Field field) const { return {bytes_ + field.offset, field.size}; }
  // Up to the first NUL.
  std::string_view Text(Field field) const;
  char Flag(Field field) const { return bytes_[field.offset]; }
  // Octal with leading and trailing blanks, or base-256. Nothing when neither or out of range.
  std::optional<int64_t> Number(Field field) const;

  bool IsZero() const;
  // The sum of all bytes, taken as signed or unsigned, with the checksum itself as blanks.
  bool ChecksumMatches() const;
  Dialect dialect() const;

 private:
  const char* bytes_;
};

// A field of the same forms on its own.
std::optional<int64_t> ParseNumber(std::string_view field);

// The decimal numbers of extended headers and sparse maps; nothing when it is not all one number.
std::optional<int64_t> ParseDecimal(std::string_view text);

// A header block under construction, filled with zeros.
class TarBlockBuilder {
 public:
  // Cut at the field's size; fields that end with their text have no NUL.
  void SetText(Field field, std::string_view text);
  // Octal, padded with zeros, NUL at the end; "0" when it does not fit.
  void SetOctal(Field field, uint64_t number);
  void SetFlag(Field field, char flag) { bytes_[field.offset] = flag; }
  // Marks the block as ustar and computes the checksum.
  std::string_view Finish();

  static bool FitsOctal(Field field, uint64_t number);

 private:
  std::array<char, kBlockBytes> bytes_ = {};
};

}  // namespace gantry::archive
