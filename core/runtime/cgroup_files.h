// SPDX-License-Identifier: Apache-2.0
// The forms that the files of a cgroup have.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::runtime {

// The content of a file; empty when it is not there, or no longer. Cut at 1 MiB.
std::string ReadCgroupFile(const std::string& directory, std::string_view name);
bool CgroupFileExists(const std::string& directory, std::string_view name);

// A decimal number; negative ones count as 0. `max` is what the word "max" stands for.
std::optional<uint64_t> ParseNumber(std::string_view text, uint64_t max);
// The number in a file of one; 0 when it is not there.
uint64_t ReadNumber(const std::string& directory, std::string_view name, uint64_t max);

std::vector<std::string_view> SplitLines(std::string_view text);
// Words between any of `separators`; none of them is empty.
std::vector<std::string_view> SplitWords(std::string_view line, std::string_view separators = " ");

// Lines of a key and a number. Lines of another form are left out.
using Numbers = std::map<std::string, uint64_t, std::less<>>;
Numbers ReadNumbers(const std::string& directory, std::string_view name);
uint64_t Get(const Numbers& numbers, std::string_view key);  // 0 when it is not there

// The sizes of huge pages of this machine, as the files of cgroups name them: "2MB".
std::vector<std::string> HugePageSizes(const std::string& folder = "/sys/kernel/mm/hugepages");

}  // namespace gantry::runtime
