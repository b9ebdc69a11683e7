// SPDX-License-Identifier: Apache-2.0
#include "shim/cgroup/stat_file.h"

#include <dirent.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <utility>

#include "core/kernel/file.h"

namespace gantry::shim::cgroup {
namespace {

constexpr size_t kMaxStatFile = 1UL << 20;

// "2048kB" as "2MB".
std::string PageSizeName(std::string_view kilobytes) {
  constexpr std::array<std::string_view, 3> kUnits = {"KB", "MB", "GB"};
  kilobytes.remove_suffix(kilobytes.ends_with("kB") ? 2 : 0);
  uint64_t size = NumberOr0(kilobytes);
  size_t unit = 0;
  while (size >= 1024 && unit + 1 < kUnits.size()) {
    size /= 1024;
    ++unit;
  }
  return std::to_string(size) + std::string(kUnits[unit]);
}

}  // namespace

std::optional<std::string> ReadStatFile(const std::string& path) {
  auto text = kernel::ReadFile(path, kMaxStatFile);
  if (!text) return std::nullopt;
  return *std::move(text);
}

std::vector<std::string_view> Split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> words;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(separators), text.size()));
    if (text.empty()) return words;
    words.push_back(text.substr(0, text.find_first_of(separators)));
    text.remove_prefix(words.back().size());
  }
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  if (text == "max") return kUnlimited;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return std::nullopt;
  if (negative) return 0;
  return error == std::errc::result_out_of_range ? kUnlimited : number;
}

uint64_t ReadNumber(const std::string& path) {
  const LinesFile file(path);
  return file.lines().empty() ? 0 : NumberOr0(file.lines().front().front());
}

std::optional<uint64_t> KeyedFile::Find(std::string_view key) const {
  if (!text_) return std::nullopt;
  for (std::string_view rest = *text_; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return NumberOr0(line.substr(key.size() + 1));
    }
  }
  return std::nullopt;
}

LinesFile::LinesFile(const std::string& path, std::string_view separators)
    : text_(ReadStatFile(path)) {
  if (!text_) return;
  for (const std::string_view line : Split(*text_, "\n")) {
    auto words = Split(line, separators);
    if (!words.empty()) lines_.push_back(std::move(words));
  }
}

std::string_view ValueOf(const std::vector<std::string_view>& words, std::string_view key) {
  for (const std::string_view word : words) {
    if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=') {
      return word.substr(key.size() + 1);
    }
  }
  return {};
}

double ParseFraction(std::string_view text) {
  // Whole numbers up to the division: one rounding, that of the nearest double.
  double digits = 0;
  double scale = 1;
  bool behind_point = false;
  for (const char c : text) {
    if (c == '.' && !behind_point) {
      behind_point = true;
      continue;
    }
    if (c < '0' || c > '9') return 0;
    digits = digits * 10 + (c - '0');
    if (behind_point) scale *= 10;
  }
  return digits / scale;
}

std::vector<std::string> HugePageSizes(const std::string& directory) {
  struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  constexpr std::string_view kPrefix = "hugepages-";
  std::vector<std::string> sizes;
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(directory.c_str()));
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name.starts_with(kPrefix)) sizes.push_back(PageSizeName(name.substr(kPrefix.size())));
  }
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

}  // namespace gantry::shim::cgroup
