// SPDX-License-Identifier: Apache-2.0
#include "core/archive/tar_header.h"

#include <algorithm>
#include <string>

#include "core/base/status.h"

namespace gantry::archive {
namespace {

EntryType TypeOf(char flag) {
  switch (flag) {
    case '0':
    case '\0':
    case kFlagGnuSparse:
      return EntryType::kRegular;
    case '1':
      return EntryType::kHardLink;
    case '2':
      return EntryType::kSymlink;
    case '3':
      return EntryType::kCharDevice;
    case '4':
      return EntryType::kBlockDevice;
    case '5':
      return EntryType::kDirectory;
    case '6':
      return EntryType::kFifo;
    default:
      return EntryType::kOther;
  }
}

// Reads the block's numbers and remembers whether one was malformed.
class Numbers {
 public:
  explicit Numbers(const TarBlock& block) : block_(block) {}

  int64_t operator()(Field field) {
    const std::optional<int64_t> number = block_.Number(field);
    good_ = good_ && number.has_value();
    return number.value_or(0);
  }
  bool good() const { return good_; }

 private:
  const TarBlock& block_;
  bool good_ = true;
};

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0; });
}

// GNU headers have access and change time where ustar has the prefix. Some old writers put a prefix
// there all the same: where the times do not parse, it is taken for one.
std::string_view GnuPrefix(const TarBlock& header, Entry& entry) {
  Numbers number(header);
  Timestamp atime;
  if (header.Flag(kGnuAtime) != '\0') atime.seconds = number(kGnuAtime);
  if (header.Flag(kGnuCtime) != '\0') number(kGnuCtime);
  if (number.good()) {
    entry.atime = atime;
    return {};
  }
  const std::string_view prefix = header.Text(kPrefix);
  return IsAscii(prefix) ? prefix : std::string_view();
}

}  // namespace

bool IsExtension(char flag) {
  return flag == kFlagPax || flag == kFlagPaxGlobal || flag == kFlagGnuLongName ||
         flag == kFlagGnuLongLink;
}

bool HasContent(EntryType type) { return type == EntryType::kRegular || type == EntryType::kOther; }

absl::Status ParseHeader(const TarBlock& header, Entry& entry) {
  Numbers number(header);
  entry.type_flag = header.Flag(kTypeFlag);
  entry.type = TypeOf(entry.type_flag);
  entry.name = header.Text(kName);
  entry.link = header.Text(kLink);
  entry.mode = number(kMode);
  entry.uid = number(kUid);
  entry.gid = number(kGid);
  const int64_t size = number(kSize);
  entry.mtime = {number(kMtime), 0};
  entry.atime = {};
  entry.dev_major = 0;
  entry.dev_minor = 0;
  entry.xattrs.clear();
  entry.sparse = false;
  entry.runs.clear();

  const Dialect dialect = header.dialect();
  std::string_view prefix;
  if (dialect != Dialect::kV7) {
    entry.dev_major = number(kDevMajor);
    entry.dev_minor = number(kDevMinor);
  }
  if (dialect == Dialect::kUstar) prefix = header.Text(kPrefix);
  if (dialect == Dialect::kGnu) prefix = GnuPrefix(header, entry);
  if (dialect == Dialect::kStar) {
    prefix = header.Text(kStarPrefix);
    entry.atime = {number(kStarAtime), 0};
  }
  if (!prefix.empty()) entry.name.insert(0, std::string(prefix) + "/");
  if (!number.good() || size < 0) return InvalidArgument("tar: malformed header");
  entry.size = static_cast<uint64_t>(size);
  return absl::OkStatus();
}

void MergePax(const PaxRecords& pax, Entry& entry) {
  if (!pax.path.empty()) entry.name = pax.path;
  if (!pax.link_path.empty()) entry.link = pax.link_path;
  if (pax.size) entry.size = static_cast<uint64_t>(*pax.size);
  if (pax.uid) entry.uid = *pax.uid;
  if (pax.gid) entry.gid = *pax.gid;
  if (pax.mtime) entry.mtime = *pax.mtime;
  if (pax.atime) entry.atime = *pax.atime;
  entry.xattrs = pax.xattrs;
}

std::optional<SparseFormat> SparseFormatOf(const PaxRecords& pax) {
  const std::string_view major = pax.sparse_major;
  const std::string_view minor = pax.sparse_minor;
  if (major == "0" && (minor == "0" || minor == "1")) return SparseFormat::kInRecords;
  if (major == "1" && minor == "0") return SparseFormat::kBeforeContent;
  if (!major.empty() || !minor.empty() || pax.sparse_map.empty()) return std::nullopt;
  return SparseFormat::kInRecords;
}

}  // namespace gantry::archive
