// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/cli/signal_name.h"

#include <cctype>
#include <charconv>
#include <csignal>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/base/status.h"

namespace gantry::gctr {
namespace {

std::optional<int> ParseNumber(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
  if (error != std::errc() || end != text.end()) return std::nullopt;
  return number;
}

// Of "RTMIN", "RTMIN+n" or "RTMAX-n".
std::optional<int> ParseRealTime(std::string_view name) {
  const bool from_first = name.starts_with("RTMIN");
  if (!from_first && !name.starts_with("RTMAX")) return std::nullopt;
  const std::string_view rest = name.substr(5);
  const int base = from_first ? SIGRTMIN : SIGRTMAX;
  if (rest.empty()) return base;
  const std::optional<int> offset = ParseNumber(rest.substr(1));
  if (rest[0] != (from_first ? '+' : '-') || !offset || *offset < 0) return std::nullopt;
  return from_first ? base + *offset : base - *offset;
}

}  // namespace

absl::StatusOr<int> ParseSignal(const std::string& text) {
  std::string name;
  for (const unsigned char c : text) name.push_back(static_cast<char>(std::toupper(c)));
  if (name.starts_with("SIG")) name.erase(0, 3);
  std::optional<int> signal = ParseNumber(name);
  if (!signal) signal = ParseRealTime(name);
  for (int number = 1; !signal && number < SIGRTMIN; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known != nullptr && name == known) signal = number;
  }
  if (!signal || *signal < 1 || *signal > SIGRTMAX) {
    return InvalidArgument("invalid signal: {}", text);
  }
  return *signal;
}

}  // namespace gantry::gctr
