// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gantry::archive {

struct Timestamp {
  int64_t seconds = 0;  // since 1970
  int32_t nanos = 0;    // 0 to 999,999,999, counted forward from `seconds`

  auto operator<=>(const Timestamp&) const = default;
};

enum class EntryType {
  kRegular,
  kHardLink,
  kSymlink,
  kCharDevice,
  kBlockDevice,
  kDirectory,
  kFifo,
  kOther,  // `type_flag` says which; may have content
};

// Bytes of a sparse file that the archive holds; what lies between runs reads as zeros.
struct SparseRun {
  uint64_t offset = 0;
  uint64_t size = 0;

  bool operator==(const SparseRun&) const = default;
};

// One member of a tar archive, extended headers merged in. Numbers are as written: whoever uses
// them checks their range. Names are raw bytes without NUL, neither cleaned nor resolved.
struct Entry {
  EntryType type = EntryType::kRegular;
  char type_flag = '0';  // as in the header
  std::string name;
  std::string link;  // target of a hard link or symlink
  int64_t mode = 0;
  int64_t uid = 0;
  int64_t gid = 0;
  uint64_t size = 0;  // of the content once extracted, holes included
  Timestamp mtime;
  Timestamp atime;  // zero when the archive has none
  int64_t dev_major = 0;
  int64_t dev_minor = 0;
  // Name and value, each name once: the SCHILY.xattr records.
  std::vector<std::pair<std::string, std::string>> xattrs;
  // With `sparse`, where the content that the reader delivers goes: ascending, without overlap, at
  // or below `size`.
  bool sparse = false;
  std::vector<SparseRun> runs;
};

}  // namespace gantry::archive
