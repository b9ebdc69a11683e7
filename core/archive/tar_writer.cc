// SPDX-License-Identifier: Apache-2.0
#include "core/archive/tar_writer.h"

#include <algorithm>
#include <map>

#include "core/archive/pax.h"
#include "core/archive/tar_block.h"
#include "core/archive/tar_header.h"
#include "core/base/status.h"

namespace gantry::archive {
namespace {

constexpr size_t kBufferBytes = 256 * 1024;

using Records = std::map<std::string, std::string>;

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0; });
}

// A block's text fields are ASCII; the full text then stands in a record.
std::string ToAscii(std::string_view text) {
  std::string ascii;
  std::copy_if(text.begin(), text.end(), std::back_inserter(ascii), [](char c) { return c > 0; });
  return ascii;
}

char FlagOf(EntryType type) {
  switch (type) {
    case EntryType::kHardLink:
      return '1';
    case EntryType::kSymlink:
      return '2';
    case EntryType::kCharDevice:
      return '3';
    case EntryType::kBlockDevice:
      return '4';
    case EntryType::kDirectory:
      return '5';
    case EntryType::kFifo:
      return '6';
    default:
      return '0';
  }
}

struct SplitName {
  std::string_view prefix;
  std::string_view name;
};

// Cuts a name of over 100 bytes at the last slash that leaves both parts small enough for ustar.
// Gives the name unsplit when it is short or cannot be cut.
SplitName Split(std::string_view name) {
  const SplitName whole = {{}, name};
  if (name.size() <= kName.size || !IsAscii(name)) return whole;
  std::string_view head = name.substr(0, kPrefix.size + 1);
  // A directory's closing slash is no place to cut.
  if (head.size() == name.size() && head.ends_with('/')) head.remove_suffix(1);
  const size_t slash = head.rfind('/');
  if (slash == std::string_view::npos || slash == 0) return whole;
  const size_t rest = name.size() - slash - 1;
  if (rest == 0 || rest > kName.size) return whole;
  return {name.substr(0, slash), name.substr(slash + 1)};
}

// "<dir>/PaxHeaders.0/<base>", the name of an extended header, cleaned.
std::string PaxHeaderName(std::string_view name) {
  const size_t slash = name.rfind('/');
  const std::string_view dir =
      slash == std::string_view::npos ? std::string_view() : name.substr(0, slash + 1);
  const std::string_view base = name.substr(dir.size());
  std::string full = std::string(dir) + "PaxHeaders.0/" + std::string(base);
  while (full.ends_with('/')) full.pop_back();
  return full;
}

// A name that does not fit is cut, never so that it ends in a slash: readers that go by the block
// would see a directory.
void SetName(TarBlockBuilder& block, Field field, std::string_view text) {
  if (text.size() > field.size && text[field.size - 1] == '/') {
    text = text.substr(0, field.size - 1);
    while (text.ends_with('/')) text.remove_suffix(1);
  }
  block.SetText(field, text);
}

void SetNumber(TarBlockBuilder& block, Field field, uint64_t number, std::string_view key,
               Records& records) {
  block.SetOctal(field, number);
  if (!TarBlockBuilder::FitsOctal(field, number))
    records[std::string(key)] = fmt::to_string(number);
}

absl::Status Check(const Entry& entry) {
  const bool directory = entry.type == EntryType::kDirectory;
  const bool link = entry.type == EntryType::kHardLink || entry.type == EntryType::kSymlink;
  const bool slash_wrong =
      directory ? !entry.name.ends_with('/') : !link && entry.name.ends_with('/');
  if (entry.type == EntryType::kOther || entry.name.empty() || slash_wrong) {
    return InvalidArgument("tar: cannot write {:?}", entry.name);
  }
  const bool fits = entry.uid >= 0 && entry.gid >= 0 && entry.dev_major >= 0 &&
                    entry.dev_minor >= 0 && entry.mode >= 0 &&
                    TarBlockBuilder::FitsOctal(kDevMajor, entry.dev_major) &&
                    TarBlockBuilder::FitsOctal(kDevMinor, entry.dev_minor);
  if (!fits) return InvalidArgument("tar: cannot write {:?}: number out of range", entry.name);
  return absl::OkStatus();
}

Records RecordsOf(const Entry& entry) {
  Records records;
  for (const auto& [name, value] : entry.xattrs) {
    records[std::string(kXattrRecord) + name] = value;
  }
  if (!IsAscii(entry.link) || entry.link.size() > kLink.size) records["linkpath"] = entry.link;
  if (entry.mtime.seconds < 0 || !TarBlockBuilder::FitsOctal(kMtime, entry.mtime.seconds)) {
    records["mtime"] = fmt::to_string(entry.mtime.seconds);
  }
  return records;
}

// Everything but the name.
void FillBlock(const Entry& entry, TarBlockBuilder& block, Records& records) {
  block.SetFlag(kTypeFlag, FlagOf(entry.type));
  SetName(block, kLink, ToAscii(entry.link));
  block.SetOctal(kMode, static_cast<uint64_t>(entry.mode));
  SetNumber(block, kUid, static_cast<uint64_t>(entry.uid), "uid", records);
  SetNumber(block, kGid, static_cast<uint64_t>(entry.gid), "gid", records);
  SetNumber(block, kSize, HasContent(entry.type) ? entry.size : 0, "size", records);
  block.SetOctal(kMtime, entry.mtime.seconds < 0 ? 0 : static_cast<uint64_t>(entry.mtime.seconds));
  block.SetOctal(kDevMajor, static_cast<uint64_t>(entry.dev_major));
  block.SetOctal(kDevMinor, static_cast<uint64_t>(entry.dev_minor));
}

std::string PaxHeader(std::string_view name, const Records& records) {
  std::string text = FormatPax(records);
  TarBlockBuilder block;
  block.SetFlag(kTypeFlag, kFlagPax);
  std::string short_name = ToAscii(PaxHeaderName(name)).substr(0, kName.size);
  while (short_name.ends_with('/')) short_name.pop_back();
  block.SetText(kName, short_name);
  for (const Field field : {kMode, kUid, kGid, kMtime}) block.SetOctal(field, 0);
  block.SetOctal(kSize, text.size());
  text.append((kBlockBytes - text.size() % kBlockBytes) % kBlockBytes, '\0');
  return std::string(block.Finish()) + text;
}

}  // namespace

absl::Status TarWriter::WriteHeader(const Entry& entry) {
  RETURN_IF_ERROR(EndEntry());
  RETURN_IF_ERROR(Check(entry));
  Records records = RecordsOf(entry);
  TarBlockBuilder block;
  FillBlock(entry, block, records);
  const SplitName split = Split(entry.name);
  // A name over 100 bytes goes into a record where it cannot be split.
  if (!IsAscii(entry.name) || split.name.size() > kName.size) records["path"] = entry.name;
  if (records.empty()) {
    block.SetText(kPrefix, split.prefix);
    block.SetText(kName, split.name);
  } else {
    // With an extended header there is no prefix: the full name is in the record.
    if (!split.prefix.empty()) records["path"] = entry.name;
    SetName(block, kName, ToAscii(entry.name));
    RETURN_IF_ERROR(Append(PaxHeader(entry.name, records)));
  }
  RETURN_IF_ERROR(Append(block.Finish()));
  remaining_ = HasContent(entry.type) ? entry.size : 0;
  padding_ = (kBlockBytes - remaining_ % kBlockBytes) % kBlockBytes;
  return absl::OkStatus();
}

absl::Status TarWriter::WriteContent(std::string_view bytes) {
  if (bytes.size() > remaining_) return InvalidArgument("tar: more content than announced");
  remaining_ -= bytes.size();
  return Append(bytes);
}

absl::Status TarWriter::Finish() {
  RETURN_IF_ERROR(EndEntry());
  RETURN_IF_ERROR(Append(std::string(2 * kBlockBytes, '\0')));
  return Flush();
}

absl::Status TarWriter::EndEntry() {
  if (remaining_ > 0) return InvalidArgument("tar: {} bytes of content missing", remaining_);
  RETURN_IF_ERROR(Append(std::string(padding_, '\0')));
  padding_ = 0;
  return absl::OkStatus();
}

absl::Status TarWriter::Append(std::string_view bytes) {
  if (buffer_.size() + bytes.size() <= kBufferBytes) {
    buffer_.append(bytes);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Flush());
  if (bytes.size() >= kBufferBytes) return sink_.Write(bytes);
  buffer_.append(bytes);
  return absl::OkStatus();
}

absl::Status TarWriter::Flush() {
  if (buffer_.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(sink_.Write(buffer_));
  buffer_.clear();
  return absl::OkStatus();
}

}  // namespace gantry::archive
