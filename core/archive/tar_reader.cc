// SPDX-License-Identifier: Apache-2.0
#include "core/archive/tar_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/archive/tar_header.h"
#include "core/base/status.h"

namespace gantry::archive {
namespace {

absl::Status Truncated() { return DataLoss("tar: unexpected end of the stream"); }

}  // namespace

absl::Status TarReader::Fill() {
  if (!window_.empty() || ended_) return absl::OkStatus();
  ASSIGN_OR_RETURN(window_, source_.NextBlock());
  ended_ = window_.empty();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TarBlock>> TarReader::NextBlock() {
  RETURN_IF_ERROR(Fill());
  if (window_.size() >= kBlockBytes) {
    const TarBlock block(window_.data());
    window_.remove_prefix(kBlockBytes);
    return block;
  }
  size_t have = 0;
  while (have < kBlockBytes) {
    RETURN_IF_ERROR(Fill());
    if (window_.empty()) break;
    const size_t count = window_.copy(straddling_.data() + have, kBlockBytes - have);
    window_.remove_prefix(count);
    have += count;
  }
  if (have == 0) return std::nullopt;
  if (have < kBlockBytes) return Truncated();
  return TarBlock(straddling_.data());
}

// Nothing at the end of the archive, with or without its marker.
absl::StatusOr<std::optional<TarBlock>> TarReader::NextHeader() {
  ASSIGN_OR_RETURN(std::optional<TarBlock> block, NextBlock());
  if (!block || !block->IsZero()) return block;
  ASSIGN_OR_RETURN(block, NextBlock());
  if (block && !block->IsZero()) return InvalidArgument("tar: a single zero block inside");
  return std::nullopt;
}

absl::StatusOr<std::string_view> TarReader::ReadContent() {
  if (remaining_ == 0) return std::string_view();
  RETURN_IF_ERROR(Fill());
  if (window_.empty()) return Truncated();
  const std::string_view piece =
      window_.substr(0, static_cast<size_t>(std::min<uint64_t>(remaining_, window_.size())));
  window_.remove_prefix(piece.size());
  remaining_ -= piece.size();
  return piece;
}

absl::Status TarReader::SkipContent() {
  while (remaining_ > 0) RETURN_IF_ERROR(ReadContent().status());
  return absl::OkStatus();
}

// False when the stream ends here, which some writers let it do behind the last entry's content.
absl::StatusOr<bool> TarReader::SkipPadding() {
  while (padding_ > 0) {
    RETURN_IF_ERROR(Fill());
    if (window_.empty()) return false;
    const size_t count = static_cast<size_t>(std::min<uint64_t>(padding_, window_.size()));
    window_.remove_prefix(count);
    padding_ -= count;
  }
  return true;
}

void TarReader::StartContent(uint64_t size) {
  remaining_ = size;
  padding_ = (kBlockBytes - size % kBlockBytes) % kBlockBytes;
}

absl::StatusOr<bool> TarReader::Next(Entry& entry) {
  Extensions extensions;
  while (!finished_) {
    RETURN_IF_ERROR(SkipContent());
    ASSIGN_OR_RETURN(const bool more, SkipPadding());
    std::optional<TarBlock> header;
    if (more) {
      ASSIGN_OR_RETURN(header, NextHeader());
    }
    if (!header) break;
    if (!header->ChecksumMatches()) return InvalidArgument("tar: header checksum mismatch");
    const char flag = header->Flag(kTypeFlag);
    if (IsExtension(flag)) {
      RETURN_IF_ERROR(ReadExtensions(flag, *header, extensions));
      continue;
    }
    RETURN_IF_ERROR(StartEntry(*header, extensions, entry));
    return true;
  }
  finished_ = true;
  return false;
}

absl::StatusOr<std::string> TarReader::ReadExtension(const TarBlock& header) {
  const std::optional<int64_t> size = header.Number(kSize);
  if (!size || *size < 0) return InvalidArgument("tar: malformed header");
  if (static_cast<uint64_t>(*size) > limits_.max_extension_bytes) {
    return InvalidArgument("tar: extended header of {} bytes", *size);
  }
  StartContent(static_cast<uint64_t>(*size));
  std::string text;
  while (remaining_ > 0) {
    ASSIGN_OR_RETURN(const std::string_view piece, ReadContent());
    text.append(piece);
  }
  return text;
}

absl::Status TarReader::ReadExtensions(char flag, const TarBlock& header, Extensions& extensions) {
  // The window moves on below, under the header's feet.
  ASSIGN_OR_RETURN(std::string text, ReadExtension(header));
  switch (flag) {
    case kFlagPax: {
      ASSIGN_OR_RETURN(extensions.pax, ParsePax(text, limits_));
      break;
    }
    case kFlagGnuLongName:
      extensions.long_name = text.substr(0, text.find('\0'));
      break;
    case kFlagGnuLongLink:
      extensions.long_link = text.substr(0, text.find('\0'));
      break;
    default:  // global: what it says must not reach any entry
      break;
  }
  return absl::OkStatus();
}

absl::Status TarReader::StartEntry(const TarBlock& header, const Extensions& extensions,
                                   Entry& entry) {
  RETURN_IF_ERROR(ParseHeader(header, entry));
  MergePax(extensions.pax, entry);
  if (!extensions.long_name.empty()) entry.name = extensions.long_name;
  if (!extensions.long_link.empty()) entry.link = extensions.long_link;
  // Writers older than the directory flag marked directories by a slash.
  if (entry.type_flag == '\0' && entry.name.ends_with('/')) entry.type = EntryType::kDirectory;
  if (!HasContent(entry.type)) entry.size = 0;
  StartContent(entry.size);
  RETURN_IF_ERROR(StartSparse(header, extensions.pax, entry));
  return CheckLimits(entry);
}

absl::Status TarReader::StartSparse(const TarBlock& header, const PaxRecords& pax, Entry& entry) {
  SparseMap map;
  if (entry.type_flag == kFlagGnuSparse) {
    ASSIGN_OR_RETURN(map, ReadOldGnuMap(header, entry));
  } else {
    const std::optional<SparseFormat> format = SparseFormatOf(pax);
    if (!format) return absl::OkStatus();
    if (entry.type != EntryType::kRegular) return InvalidArgument("tar: sparse map of no file");
    if (!pax.sparse_name.empty()) entry.name = pax.sparse_name;
    if (pax.sparse_size) entry.size = static_cast<uint64_t>(*pax.sparse_size);
    if (*format == SparseFormat::kBeforeContent) {
      ASSIGN_OR_RETURN(map, ReadMapBeforeContent());
    } else {
      ASSIGN_OR_RETURN(map, ParseSparseList(pax.sparse_map, limits_.max_sparse_runs));
    }
  }
  RETURN_IF_ERROR(CheckSparseMap(map, entry.size, remaining_));
  entry.sparse = true;
  entry.runs = std::move(map);
  return absl::OkStatus();
}

absl::StatusOr<SparseMap> TarReader::ReadOldGnuMap(const TarBlock& header, Entry& entry) {
  const std::optional<int64_t> size = header.Number(kGnuRealSize);
  if (header.dialect() != Dialect::kGnu || !size || *size < 0) {
    return InvalidArgument("tar: malformed sparse header");
  }
  entry.size = static_cast<uint64_t>(*size);
  SparseMap map;
  RETURN_IF_ERROR(AppendOldGnuRuns(header.Raw(kGnuSparse), limits_.max_sparse_runs, map));
  bool more = header.Flag(kGnuIsExtended) != '\0';
  // Continuation blocks may be empty, so the map's limit does not bound them.
  size_t blocks = 0;
  while (more) {
    if (++blocks > limits_.max_sparse_runs) return InvalidArgument("tar: endless sparse map");
    ASSIGN_OR_RETURN(const std::optional<TarBlock> block, NextBlock());
    if (!block) return Truncated();
    RETURN_IF_ERROR(AppendOldGnuRuns(block->Raw(kGnuMoreSparse), limits_.max_sparse_runs, map));
    more = block->Flag(kGnuMoreIsExtended) != '\0';
  }
  return map;
}

absl::StatusOr<SparseMap> TarReader::ReadMapBeforeContent() {
  SparseMapParser parser(limits_.max_sparse_runs);
  for (;;) {
    if (remaining_ < kBlockBytes) return InvalidArgument("tar: malformed sparse map");
    ASSIGN_OR_RETURN(const std::optional<TarBlock> block, NextBlock());
    if (!block) return Truncated();
    remaining_ -= kBlockBytes;
    ASSIGN_OR_RETURN(const bool complete, parser.Feed(block->Raw({0, kBlockBytes})));
    if (complete) return std::move(parser).Take();
  }
}

absl::Status TarReader::CheckLimits(const Entry& entry) {
  if (entry.name.size() > limits_.max_name_bytes || entry.link.size() > limits_.max_name_bytes) {
    return InvalidArgument("tar: name of {} bytes", std::max(entry.name.size(), entry.link.size()));
  }
  const auto depth = std::count(entry.name.begin(), entry.name.end(), '/');
  if (static_cast<size_t>(depth) > limits_.max_depth) {
    return InvalidArgument("tar: name of {} components", depth);
  }
  if (++entries_ > limits_.max_entries) {
    return ResourceExhausted("tar: more than {} entries", limits_.max_entries);
  }
  if (entry.size > limits_.max_bytes - bytes_) {
    return ResourceExhausted("tar: more than {} bytes of content", limits_.max_bytes);
  }
  bytes_ += entry.size;
  return absl::OkStatus();
}

absl::Status TarReader::Drain() {
  window_ = {};
  remaining_ = 0;
  padding_ = 0;
  finished_ = true;
  while (!ended_) {
    RETURN_IF_ERROR(Fill());
    window_ = {};
  }
  return absl::OkStatus();
}

}  // namespace gantry::archive
