// SPDX-License-Identifier: Apache-2.0
#include "core/archive/pax.h"

#include <algorithm>
#include <iterator>

#include "core/archive/tar_block.h"
#include "core/base/status.h"

namespace gantry::archive {
namespace {

constexpr std::string_view kSparsePrefix = "GNU.sparse.";

absl::Status Malformed() { return InvalidArgument("tar: malformed extended header"); }

// "seconds" or "seconds.fraction", of which digits beyond the ninth are dropped.
std::optional<Timestamp> ParseTime(std::string_view text) {
  const size_t dot = text.find('.');
  const std::optional<int64_t> seconds = ParseDecimal(text.substr(0, dot));
  if (!seconds) return std::nullopt;
  Timestamp time = {*seconds, 0};
  if (dot == std::string_view::npos) return time;
  int32_t unit = 100'000'000;
  for (const char digit : text.substr(dot + 1)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    time.nanos += (digit - '0') * unit;
    unit /= 10;
  }
  // "-1.5" lies before "-1": half a second after -2.
  if (text.starts_with('-') && time.nanos > 0) {
    if (time.seconds == INT64_MIN) return std::nullopt;
    time.seconds -= 1;
    time.nanos = 1'000'000'000 - time.nanos;
  }
  return time;
}

struct Record {
  std::string_view key;
  std::string_view value;
};

// Takes "<length> <key>=<value>\n" off the front of `text`.
std::optional<Record> TakeRecord(std::string_view& text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || space == 0) return std::nullopt;
  const std::optional<int64_t> size = ParseDecimal(text.substr(0, space));
  if (!size || *size < 5 || static_cast<uint64_t>(*size) > text.size()) return std::nullopt;
  const auto length = static_cast<size_t>(*size);
  if (length <= space + 1 || text[length - 1] != '\n') return std::nullopt;
  const std::string_view body = text.substr(space + 1, length - space - 2);
  text.remove_prefix(length);
  const size_t equals = body.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  const Record record = {body.substr(0, equals), body.substr(equals + 1)};
  if (record.key.find('\0') != std::string_view::npos) return std::nullopt;
  return record;
}

absl::Status SetName(std::string& field, std::string_view value) {
  if (value.find('\0') != std::string_view::npos) return Malformed();
  field = value;
  return absl::OkStatus();
}

// An empty value means the header block's.
absl::Status SetNumber(std::optional<int64_t>& field, std::string_view value) {
  field = ParseDecimal(value);
  return field || value.empty() ? absl::OkStatus() : Malformed();
}

absl::Status SetSize(std::optional<int64_t>& field, std::string_view value) {
  RETURN_IF_ERROR(SetNumber(field, value));
  return field && *field < 0 ? Malformed() : absl::OkStatus();
}

absl::Status SetTime(std::optional<Timestamp>& field, std::string_view value) {
  field = ParseTime(value);
  return field || value.empty() ? absl::OkStatus() : Malformed();
}

absl::Status AddXattr(PaxRecords& records, std::string_view name, std::string_view value,
                      const Limits& limits) {
  if (name.empty() || name.size() > limits.max_xattr_name_bytes) {
    return InvalidArgument("tar: extended attribute name of {} bytes", name.size());
  }
  if (value.size() > limits.max_xattr_value_bytes) {
    return InvalidArgument("tar: extended attribute {:?} of {} bytes", name, value.size());
  }
  const auto same = std::find_if(records.xattrs.begin(), records.xattrs.end(),
                                 [&](const auto& each) { return each.first == name; });
  if (same != records.xattrs.end()) {
    same->second = value;
    return absl::OkStatus();
  }
  if (records.xattrs.size() == limits.max_xattrs) {
    return InvalidArgument("tar: more than {} extended attributes", limits.max_xattrs);
  }
  records.xattrs.emplace_back(name, value);
  return absl::OkStatus();
}

// Collects the map of sparse format 0.0, which repeats two keys in turn.
class SparseItems {
 public:
  absl::Status Add(bool is_offset, std::string_view value) {
    if (is_offset != (count_ % 2 == 0) || value.find(',') != std::string_view::npos) {
      return Malformed();
    }
    if (count_++ > 0) map_ += ',';
    map_ += value;
    return absl::OkStatus();
  }
  size_t count() const { return count_; }
  const std::string& map() const { return map_; }

 private:
  size_t count_ = 0;
  std::string map_;
};

absl::Status SetSparse(PaxRecords& records, SparseItems& items, std::string_view key,
                       std::string_view value) {
  if (key == "major") return SetName(records.sparse_major, value);
  if (key == "minor") return SetName(records.sparse_minor, value);
  if (key == "name") return SetName(records.sparse_name, value);
  if (key == "map") return SetName(records.sparse_map, value);
  if (key == "offset") return items.Add(/*is_offset=*/true, value);
  if (key == "numbytes") return items.Add(/*is_offset=*/false, value);
  if (key == "size" || key == "realsize") return SetSize(records.sparse_size, value);
  return absl::OkStatus();
}

absl::Status SetRecord(PaxRecords& records, SparseItems& items, const Record& record,
                       const Limits& limits) {
  const auto& [key, value] = record;
  if (key == "path") return SetName(records.path, value);
  if (key == "linkpath") return SetName(records.link_path, value);
  if (key == "size") return SetSize(records.size, value);
  if (key == "uid") return SetNumber(records.uid, value);
  if (key == "gid") return SetNumber(records.gid, value);
  if (key == "mtime") return SetTime(records.mtime, value);
  if (key == "atime") return SetTime(records.atime, value);
  if (key.starts_with(kXattrRecord)) {
    return AddXattr(records, key.substr(kXattrRecord.size()), value, limits);
  }
  if (key.starts_with(kSparsePrefix)) {
    return SetSparse(records, items, key.substr(kSparsePrefix.size()), value);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PaxRecords> ParsePax(std::string_view text, const Limits& limits) {
  PaxRecords records;
  SparseItems items;
  while (!text.empty()) {
    const std::optional<Record> record = TakeRecord(text);
    if (!record) return Malformed();
    RETURN_IF_ERROR(SetRecord(records, items, *record, limits));
  }
  if (items.count() > 0) records.sparse_map = items.map();
  return records;
}

std::string FormatPax(const std::map<std::string, std::string>& records) {
  std::string text;
  for (const auto& [key, value] : records) {
    // The length counts its own digits.
    size_t length = key.size() + value.size() + 3;
    size_t digits = std::to_string(length).size();
    if (std::to_string(length + digits).size() > digits) ++digits;
    fmt::format_to(std::back_inserter(text), "{} {}={}\n", length + digits, key, value);
  }
  return text;
}

}  // namespace gantry::archive
