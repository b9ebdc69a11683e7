// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/mountinfo.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "core/kernel/file.h"

namespace gantry::kernel {
namespace {

// 100,000 mounts with long overlay options; more is a runaway.
constexpr size_t kMaxTable = 512UL << 20;

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

std::string Unescape(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && text.size() - i > 3 && IsOctal(text[i + 1]) && IsOctal(text[i + 2]) &&
        IsOctal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// Takes the first word off `rest`; empty at its end.
std::string_view NextWord(std::string_view& rest, char separator = ' ') {
  const size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

template <typename Number>
bool ParseNumber(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseLine(std::string_view line, MountInfo& info) {
  if (!ParseNumber(NextWord(line), info.id) || !ParseNumber(NextWord(line), info.parent)) {
    return false;
  }
  std::string_view device = NextWord(line);
  if (!ParseNumber(NextWord(device, ':'), info.major) || !ParseNumber(device, info.minor)) {
    return false;
  }
  info.root = Unescape(NextWord(line));
  info.mount_point = Unescape(NextWord(line));
  info.options = NextWord(line);
  while (!line.empty()) {
    const std::string_view word = NextWord(line);
    if (word == "-") {
      info.fs_type = Unescape(NextWord(line));
      info.source = Unescape(NextWord(line));
      info.super_options = Unescape(line);
      return !info.fs_type.empty();
    }
    if (!info.optional.empty()) info.optional += ' ';
    info.optional += word;
  }
  return false;  // the separator is missing
}

}  // namespace

Result<std::vector<MountInfo>> ParseMountInfo(std::string_view text) {
  std::vector<MountInfo> mounts;
  while (!text.empty()) {
    const std::string_view line = NextWord(text, '\n');
    if (line.empty()) continue;
    MountInfo info;
    if (!ParseLine(line, info)) return Error{EINVAL, "mountinfo line " + std::string(line)};
    mounts.push_back(std::move(info));
  }
  return mounts;
}

Result<std::vector<MountInfo>> ReadMountInfo() {
  // The thread's own table: a thread may have entered another mount namespace.
  auto text = ReadFile("/proc/thread-self/mountinfo", kMaxTable);
  if (!text) return text.error();
  return ParseMountInfo(*text);
}

std::vector<MountInfo> MountsAtOrBelow(const std::vector<MountInfo>& mounts,
                                       std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  std::vector<MountInfo> found;
  std::copy_if(mounts.begin(), mounts.end(), std::back_inserter(found), [&](const MountInfo& info) {
    const std::string_view at = info.mount_point;
    return path == "/" || at == path ||
           (at.size() > path.size() && at.starts_with(path) && at[path.size()] == '/');
  });
  return found;
}

}  // namespace gantry::kernel
