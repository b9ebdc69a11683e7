// SPDX-License-Identifier: Apache-2.0
#include "shim/json/json_string.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace gantry::shim {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;
constexpr size_t kUnitSize = 6;  // of \uXXXX

// The two lists belong together, letter by letter.
constexpr std::string_view kEscapeLetters = "\"\\/bfnrt";
constexpr std::string_view kEscapedBytes = "\"\\/\b\f\n\r\t";

// The UTF-16 unit that `text` begins with as \uXXXX, or nothing that is one.
uint32_t UnitAt(std::string_view text) {
  uint32_t unit = 0;
  if (text.size() < kUnitSize || !text.starts_with("\\u")) return 0;
  std::from_chars(text.data() + 2, text.data() + kUnitSize, unit, 16);
  return unit;
}

bool IsHighSurrogate(uint32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool IsLowSurrogate(uint32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

// The character that `text` begins with as one unit or a pair; `size` becomes the length of that.
uint32_t TakeCharacter(std::string_view text, size_t& size) {
  const uint32_t first = UnitAt(text);
  size = kUnitSize;
  if (!IsHighSurrogate(first)) return IsLowSurrogate(first) ? kReplacement : first;
  const uint32_t second = UnitAt(text.substr(kUnitSize));
  if (!IsLowSurrogate(second)) return kReplacement;
  size = 2 * kUnitSize;
  return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

void AppendUtf8(std::string& out, uint32_t character) {
  const auto tail = [&](unsigned shift) {
    out += static_cast<char>(0x80 | (character >> shift & 0x3F));
  };
  if (character < 0x80) {
    out += static_cast<char>(character);
  } else if (character < 0x800) {
    out += static_cast<char>(0xC0 | character >> 6);
    tail(0);
  } else if (character < 0x10000) {
    out += static_cast<char>(0xE0 | character >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | character >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace

std::string UnescapeJson(std::string_view escaped) {
  std::string text;
  text.reserve(escaped.size());
  while (!escaped.empty()) {
    const std::string_view plain = escaped.substr(0, escaped.find('\\'));
    text += plain;
    escaped.remove_prefix(plain.size());
    if (escaped.size() < 2) break;
    size_t size = 2;
    if (escaped[1] == 'u') {
      AppendUtf8(text, TakeCharacter(escaped, size));
    } else if (const size_t letter = kEscapeLetters.find(escaped[1]);
               letter != std::string_view::npos) {
      text += kEscapedBytes[letter];
    }
    escaped.remove_prefix(std::min(size, escaped.size()));
  }
  return text;
}

void AppendJsonString(std::string& out, std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += '"';
  for (const char byte : text) {
    const size_t letter = byte == '/' ? std::string_view::npos : kEscapedBytes.find(byte);
    if (letter != std::string_view::npos) {
      out += '\\';
      out += kEscapeLetters[letter];
    } else if (static_cast<unsigned char>(byte) < 0x20) {
      out += "\\u00";
      out += kDigits[static_cast<size_t>(byte) >> 4];
      out += kDigits[byte & 0xF];
    } else {
      out += byte;
    }
  }
  out += '"';
}

}  // namespace gantry::shim
