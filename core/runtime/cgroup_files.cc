// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/cgroup_files.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "core/kernel/file.h"

namespace gantry::runtime {
namespace {

constexpr size_t kMaxFileBytes = 1UL << 20;

std::string PathOf(const std::string& directory, std::string_view name) {
  std::string path = directory;
  path.push_back('/');
  path.append(name);
  return path;
}

std::string_view Trimmed(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\n");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t\n") - start + 1);
}

}  // namespace

std::string ReadCgroupFile(const std::string& directory, std::string_view name) {
  if (directory.empty()) return {};
  auto text = kernel::ReadFile(PathOf(directory, name), kMaxFileBytes);
  // A cgroup may be on its way out, and controllers differ between kernels.
  return text ? *std::move(text) : std::string();
}

bool CgroupFileExists(const std::string& directory, std::string_view name) {
  return !directory.empty() && ::access(PathOf(directory, name).c_str(), F_OK) == 0;
}

std::optional<uint64_t> ParseNumber(std::string_view text, uint64_t max) {
  text = Trimmed(text);
  if (text == "max") return max;
  if (text.starts_with('-')) return 0;
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

uint64_t ReadNumber(const std::string& directory, std::string_view name, uint64_t max) {
  return ParseNumber(ReadCgroupFile(directory, name), max).value_or(0);
}

std::vector<std::string_view> SplitLines(std::string_view text) { return SplitWords(text, "\n"); }

std::vector<std::string_view> SplitWords(std::string_view line, std::string_view separators) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t start = line.find_first_not_of(separators);
    if (start == std::string_view::npos) return words;
    const size_t end = line.find_first_of(separators, start);
    words.push_back(line.substr(start, end == std::string_view::npos ? end : end - start));
    if (end == std::string_view::npos) return words;
    line.remove_prefix(end);
  }
}

Numbers ReadNumbers(const std::string& directory, std::string_view name) {
  Numbers numbers;
  const std::string text = ReadCgroupFile(directory, name);
  for (const std::string_view line : SplitLines(text)) {
    const std::vector<std::string_view> words = SplitWords(line);
    if (words.size() != 2) continue;
    if (const auto number = ParseNumber(words[1], UINT64_MAX)) {
      numbers.emplace(std::string(words[0]), *number);
    }
  }
  return numbers;
}

uint64_t Get(const Numbers& numbers, std::string_view key) {
  const auto found = numbers.find(key);
  return found == numbers.end() ? 0 : found->second;
}

std::vector<std::string> HugePageSizes(const std::string& folder) {
  std::vector<std::string> sizes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();  // "hugepages-2048kB"
    const size_t dash = name.find('-');
    uint64_t kibibytes = 0;
    if (dash == std::string::npos ||
        std::from_chars(name.data() + dash + 1, name.data() + name.size(), kibibytes).ec !=
            std::errc()) {
      continue;
    }
    size_t unit = 0;
    constexpr std::string_view kUnits = "KMGTP";
    for (; kibibytes >= 1024 && unit + 1 < kUnits.size(); ++unit) kibibytes /= 1024;
    sizes.push_back(std::to_string(kibibytes) + kUnits[unit] + "B");
  }
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

}  // namespace gantry::runtime
