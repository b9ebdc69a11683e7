// SPDX-License-Identifier: Apache-2.0
// From header block and extended header to entry.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "core/archive/entry.h"
#include "core/archive/pax.h"
#include "core/archive/tar_block.h"

namespace gantry::archive {

inline constexpr char kFlagPax = 'x';
inline constexpr char kFlagPaxGlobal = 'g';
inline constexpr char kFlagGnuLongName = 'L';
inline constexpr char kFlagGnuLongLink = 'K';
inline constexpr char kFlagGnuSparse = 'S';

// Describes other entries instead of being one.
bool IsExtension(char flag);

// Whether content follows the header; of other types the size field means nothing.
bool HasContent(EntryType type);

// Sets every field of `entry` from the block.
absl::Status ParseHeader(const TarBlock& header, Entry& entry);

// Puts what the records say over what the block said.
void MergePax(const PaxRecords& pax, Entry& entry);

enum class SparseFormat { kInRecords, kBeforeContent };

// Nothing when the records describe no sparse file, or one in an unknown format.
std::optional<SparseFormat> SparseFormatOf(const PaxRecords& pax);

}  // namespace gantry::archive
