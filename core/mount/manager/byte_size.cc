// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/byte_size.h"

#include <charconv>
#include <cmath>
#include <string>

namespace gantry::mount {
namespace {

constexpr std::string_view kUnits = "bkmgtp";

// The power of 1024 that a unit stands for, or -1.
int PowerOf(std::string unit) {
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit.empty() || unit == "b") return 0;
  const size_t power = kUnits.find(unit[0]);
  const std::string_view rest = std::string_view(unit).substr(1);
  const bool known = rest.empty() || rest == "b" || rest == "ib";
  return power == std::string_view::npos || power == 0 || !known ? -1 : static_cast<int>(power);
}

}  // namespace

std::optional<int64_t> ParseByteSize(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
  if (error != std::errc() || end != text.data() + digits) return std::nullopt;
  std::string_view unit = text.substr(digits);
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  const int power = PowerOf(std::string(unit));
  const double bytes = number * std::pow(1024.0, power);
  // 2^62 and no more: beyond that a double and an int64_t part ways.
  if (power < 0 || bytes > 0x1p62) return std::nullopt;
  return static_cast<int64_t>(bytes);
}

}  // namespace gantry::mount
