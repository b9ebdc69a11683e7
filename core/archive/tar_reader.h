// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/archive/entry.h"
#include "core/archive/limits.h"
#include "core/archive/pax.h"
#include "core/archive/sparse.h"
#include "core/archive/tar_block.h"
#include "core/base/stream.h"

namespace gantry::archive {

// Walks through a tar archive from anyone: v7, ustar, pax, GNU (long names, base-256 numbers,
// sparse members old and new) and star. Global extended headers are skipped. Two zero blocks end
// an archive, as does the end of the stream at an entry's edge.
//
// Content is handed out where it lies in the source's blocks, so nothing is copied.
//
// Errors: InvalidArgument for malformed structure or limits, DataLoss when the stream ends inside
// an entry, ResourceExhausted for the limits on totals; errors of the source pass through.
class TarReader {
 public:
  // `source` outlives the reader.
  explicit TarReader(BlockReader& source, const Limits& limits = {})
      : source_(source), limits_(limits) {}

  // Steps to the next entry, over what was not read of the last one. False at the archive's end.
  absl::StatusOr<bool> Next(Entry& entry);

  // The next piece of the entry's content, empty at its end. Good until the next call. A sparse
  // entry's runs follow each other without the holes.
  absl::StatusOr<std::string_view> ReadContent();

  // Reads the source to its end: what stands behind the end marker belongs to the stream's digest.
  absl::Status Drain();

 private:
  // Long names and extended header that stand before an entry.
  struct Extensions {
    PaxRecords pax;
    std::string long_name;
    std::string long_link;
  };

  // Makes `window_` non-empty, unless the stream has ended.
  absl::Status Fill();
  // The next block, or nothing at a clean end of the stream. Good until the window moves on.
  absl::StatusOr<std::optional<TarBlock>> NextBlock();
  absl::StatusOr<std::optional<TarBlock>> NextHeader();
  absl::Status SkipContent();
  absl::StatusOr<bool> SkipPadding();
  absl::StatusOr<std::string> ReadExtension(const TarBlock& header);
  absl::Status ReadExtensions(char flag, const TarBlock& header, Extensions& extensions);
  absl::Status StartEntry(const TarBlock& header, const Extensions& extensions, Entry& entry);
  absl::Status StartSparse(const TarBlock& header, const PaxRecords& pax, Entry& entry);
  absl::StatusOr<SparseMap> ReadOldGnuMap(const TarBlock& header, Entry& entry);
  absl::StatusOr<SparseMap> ReadMapBeforeContent();
  absl::Status CheckLimits(const Entry& entry);
  void StartContent(uint64_t size);

  BlockReader& source_;
  const Limits limits_;
  std::string_view window_;  // of the source's current block, not yet taken
  bool ended_ = false;       // the source is at its end
  bool finished_ = false;    // the archive is
  std::array<char, kBlockBytes> straddling_ = {};
  uint64_t remaining_ = 0;  // content of the current entry that was not taken
  uint64_t padding_ = 0;    // behind it, up to the block's edge
  uint64_t entries_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace gantry::archive
