// SPDX-License-Identifier: Apache-2.0
#include "shim/options/toml_lines.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "shim/json/json_reader.h"

namespace gantry::shim {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view TrimLeft(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kBlanks), text.size()));
}

std::string_view Trim(std::string_view text) {
  text = TrimLeft(text);
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// The next line of `rest`, without blanks around it.
std::string_view TakeLine(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  return Trim(line);
}

// A string in double or single quotes, taken from the start of `rest`.
std::optional<std::string> TakeString(std::string_view& rest) {
  if (rest.starts_with('\'')) {
    const size_t end = rest.find('\'', 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(rest.substr(1, end - 1));
    rest.remove_prefix(end + 1);
    return text;
  }
  // JSON's strings are those of TOML, but for the rare \U and \e and that they escape tabs.
  JsonReader json(rest);
  auto text = json.String();
  rest.remove_prefix(json.offset());
  return text;
}

// The key of `line`, which becomes what stands behind the '='.
std::optional<std::string> TakeKey(std::string_view& line) {
  std::optional<std::string> key;
  if (line.starts_with('"') || line.starts_with('\'')) {
    key = TakeString(line);
  } else {
    const size_t end = line.find_first_of(" \t=");
    if (end != std::string_view::npos && end > 0) key = line.substr(0, end);
    line.remove_prefix(std::min(end, line.size()));
  }
  line = TrimLeft(line);
  if (!key || !line.starts_with('=')) return std::nullopt;
  line = TrimLeft(line.substr(1));
  return key;
}

// Whether a value goes on in the next line.
bool Continues(std::string_view value) {
  if (value.starts_with("\"\"\"") || value.starts_with("'''")) return true;
  if (!value.starts_with('[') && !value.starts_with('{')) return false;
  int depth = 0;
  char quote = '\0';
  for (const char letter : value) {
    if (quote != '\0') {
      if (letter == quote) quote = '\0';
    } else if (letter == '"' || letter == '\'') {
      quote = letter;
    } else if (letter == '[' || letter == '{') {
      ++depth;
    } else if (letter == ']' || letter == '}') {
      --depth;
    } else if (letter == '#') {
      break;
    }
  }
  return depth > 0;
}

TomlValue ReadPlainValue(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  std::string digits(text);
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  if (digits.starts_with('+')) digits.erase(0, 1);
  int64_t number = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, number);
  if (error != std::errc() || stop != end) return {};
  return number;
}

TomlValue ReadValue(std::string_view text) {
  if (!text.starts_with('"') && !text.starts_with('\'')) {
    return ReadPlainValue(Trim(text.substr(0, text.find('#'))));
  }
  auto value = TakeString(text);
  text = TrimLeft(text);
  if (!value || (!text.empty() && !text.starts_with('#'))) return {};
  return *std::move(value);
}

std::string Place(size_t line) { return "line " + std::to_string(line); }

}  // namespace

kernel::Result<TomlLines> ReadTomlLines(std::string_view text) {
  TomlLines lines;
  bool in_table = false;
  for (size_t number = 1; !text.empty(); ++number) {
    std::string_view line = TakeLine(text);
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with('[')) {
      in_table = true;
      lines.ignored.push_back(Place(number) + ", a table");
      continue;
    }
    auto key = TakeKey(line);
    if (!key) {
      lines.ignored.push_back(Place(number));
      continue;
    }
    // What a table holds is no option of ours.
    if (in_table) continue;
    if (Continues(line)) return kernel::Error{EINVAL, Place(number) + ": value of several lines"};
    lines.entries.push_back({number, *std::move(key), ReadValue(line)});
  }
  return lines;
}

}  // namespace gantry::shim
