// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::shim {

// std::monostate: a value of a kind that is not read, such as an array or a fraction.
using TomlValue = std::variant<std::monostate, std::string, bool, int64_t>;

struct TomlEntry {
  size_t line = 0;  // from 1
  std::string key;
  TomlValue value;
};

struct TomlLines {
  std::vector<TomlEntry> entries;
  std::vector<std::string> ignored;  // what was passed over, for a warning
};

// Reads the part of TOML that options of runtimes are written in: lines `key = value` with a string
// of one line, a boolean or a decimal integer, empty lines and comments. Tables and lines of any
// other form are passed over. EINVAL: a value goes on in the next line, so that what follows could
// be misread.
kernel::Result<TomlLines> ReadTomlLines(std::string_view text);

}  // namespace gantry::shim
