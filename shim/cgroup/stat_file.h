// SPDX-License-Identifier: Apache-2.0
// The formats of the files in a cgroup directory: cgroups(7), cgroup-v2.rst.
//
// A figure that is missing, malformed or negative counts as 0, so that a controller that is absent,
// or a cgroup that is going away, leaves gaps and no errors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::shim::cgroup {

inline constexpr uint64_t kUnlimited = UINT64_MAX;  // what "max" stands for

// The content of a file; nothing when it cannot be read, as a pressure file while pressure is off.
std::optional<std::string> ReadStatFile(const std::string& path);

// The words between any of `separators`, none of them empty.
std::vector<std::string_view> Split(std::string_view text, std::string_view separators);

// 0 for a negative number, kUnlimited for "max" and for what is too large; nothing for other text.
std::optional<uint64_t> ParseNumber(std::string_view text);
inline uint64_t NumberOr0(std::string_view text) { return ParseNumber(text).value_or(0); }

// A file that holds one number.
uint64_t ReadNumber(const std::string& path);

// A file with a "key value" pair on each line.
class KeyedFile {
 public:
  explicit KeyedFile(const std::string& path) : text_(ReadStatFile(path)) {}

  bool exists() const { return text_.has_value(); }
  std::optional<uint64_t> Find(std::string_view key) const;
  uint64_t operator[](std::string_view key) const { return Find(key).value_or(0); }

 private:
  std::optional<std::string> text_;
};

// A file of lines of words.
class LinesFile {
 public:
  explicit LinesFile(const std::string& path, std::string_view separators = " ");
  LinesFile(const LinesFile&) = delete;

  // The lines that are not empty. The words are views of this object.
  const std::vector<std::vector<std::string_view>>& lines() const { return lines_; }

 private:
  const std::optional<std::string> text_;
  std::vector<std::vector<std::string_view>> lines_;
};

// What stands behind "key=" in one of the words; empty when none has it.
std::string_view ValueOf(const std::vector<std::string_view>& words, std::string_view key);

// A decimal fraction such as 12.34.
double ParseFraction(std::string_view text);

// The sizes of huge pages that a machine supports, as cgroup files spell them ("2MB"). `directory`
// is /sys/kernel/mm/hugepages.
std::vector<std::string> HugePageSizes(const std::string& directory);

}  // namespace gantry::shim::cgroup
