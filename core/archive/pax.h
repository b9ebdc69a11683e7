// SPDX-License-Identifier: Apache-2.0
// Extended header records: POSIX.1-2001 pax, with GNU's sparse and SCHILY's xattr keywords.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/archive/entry.h"
#include "core/archive/limits.h"

namespace gantry::archive {

inline constexpr std::string_view kXattrRecord = "SCHILY.xattr.";

// The records of one extended header that gantry has a use for. Of a key given twice the last one
// counts; an empty text means "as in the header block".
struct PaxRecords {
  std::string path;
  std::string link_path;
  std::optional<int64_t> size;  // not negative
  std::optional<int64_t> uid;
  std::optional<int64_t> gid;
  std::optional<Timestamp> mtime;
  std::optional<Timestamp> atime;
  std::vector<std::pair<std::string, std::string>> xattrs;

  // GNU.sparse.*: formats 0.0 and 0.1 carry their map here, 1.0 before the content.
  std::string sparse_major;
  std::string sparse_minor;
  std::string sparse_name;
  std::optional<int64_t> sparse_size;  // not negative
  std::string sparse_map;              // "offset,size,offset,size"; of 0.0's records too
};

// InvalidArgument for what is malformed or beyond the limits.
absl::StatusOr<PaxRecords> ParsePax(std::string_view text, const Limits& limits);

// The text of an extended header with `records` in key order. Keys hold no '=' and no NUL.
std::string FormatPax(const std::map<std::string, std::string>& records);

}  // namespace gantry::archive
