// SPDX-License-Identifier: Apache-2.0
#include "core/filters/quote.h"

#include <cstddef>
#include <cstdint>

#include "core/filters/rune.h"

namespace gantry::filters {
namespace {

constexpr std::string_view kSimpleEscapes = "abfnrtv\\";
constexpr std::string_view kSimpleValues = "\a\b\f\n\r\t\v\\";

int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

// Takes `count` digits off `rest`.
std::optional<uint64_t> TakeNumber(std::string_view& rest, int base, size_t count) {
  if (rest.size() < count) return std::nullopt;
  uint64_t number = 0;
  for (size_t i = 0; i < count; ++i) {
    const int digit = DigitValue(rest[i]);
    if (digit >= base) return std::nullopt;
    number = number * static_cast<uint64_t>(base) + static_cast<uint64_t>(digit);
  }
  rest.remove_prefix(count);
  return number;
}

bool TakeByte(std::string_view& rest, int base, size_t digits, std::string& out) {
  const std::optional<uint64_t> number = TakeNumber(rest, base, digits);
  if (!number || *number > 0xFF) return false;
  out += static_cast<char>(*number);
  return true;
}

bool TakeCodePoint(std::string_view& rest, size_t digits, std::string& out) {
  const std::optional<uint64_t> number = TakeNumber(rest, 16, digits);
  if (!number || *number > 0x10FFFF) return false;
  AppendRune(out, static_cast<char32_t>(*number));
  return true;
}

// Takes what follows a backslash.
bool TakeEscape(std::string_view& rest, char quote, std::string& out) {
  if (rest.empty()) return false;
  const char kind = rest[0];
  if (kind >= '0' && kind <= '7') return TakeByte(rest, 8, 3, out);
  rest.remove_prefix(1);
  if (const size_t simple = kSimpleEscapes.find(kind); simple != std::string_view::npos) {
    out += kSimpleValues[simple];
    return true;
  }
  if (kind == quote) {
    out += kind;
    return true;
  }
  if (kind == 'x') return TakeByte(rest, 16, 2, out);
  if (kind == 'u') return TakeCodePoint(rest, 4, out);
  return kind == 'U' && TakeCodePoint(rest, 8, out);
}

}  // namespace

std::optional<std::string> Unquote(std::string_view literal) {
  if (literal.size() < 2 || literal.front() != literal.back()) return std::nullopt;
  const char quote = literal.front();
  std::string_view rest = literal.substr(1, literal.size() - 2);
  std::string text;
  while (!rest.empty()) {
    const char c = rest[0];
    rest.remove_prefix(1);
    if (c == quote) return std::nullopt;
    if (c != '\\') {
      text += c;
    } else if (!TakeEscape(rest, quote, text)) {
      return std::nullopt;
    }
  }
  return text;
}

}  // namespace gantry::filters
