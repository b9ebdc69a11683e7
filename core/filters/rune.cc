// SPDX-License-Identifier: Apache-2.0
#include "core/filters/rune.h"

#include <re2/re2.h>

namespace gantry::filters {
namespace {

constexpr char32_t kMaxRune = 0x10FFFF;
constexpr char32_t kReplacement = 0xFFFD;

bool IsSurrogate(char32_t code) { return code >= 0xD800 && code <= 0xDFFF; }

}  // namespace

Rune DecodeRune(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  char32_t code = lead & (0xFFU >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0) != 0x80) return {};
    code = code << 6 | (next & 0x3F);
  }
  const char32_t least = bytes == 4 ? 0x10000 : bytes == 3 ? 0x800 : 0x80;
  if (code < least || code > kMaxRune || IsSurrogate(code)) return {};
  return {code, bytes};
}

void AppendRune(std::string& out, char32_t code) {
  if (IsSurrogate(code)) code = kReplacement;
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

bool IsSpace(char32_t code) {
  switch (code) {
    case ' ':
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000:
      return true;
    default:
      return (code >= '\t' && code <= '\r') || (code >= 0x2000 && code <= 0x200A);
  }
}

bool IsGraphic(char32_t code) {
  if (code < 0x80) return code > ' ' && code < 0x7F;
  static const re2::RE2 graphic(R"([\pL\pM\pN\pP\pS])");  // RE2 carries the Unicode tables.
  std::string text;
  AppendRune(text, code);
  return re2::RE2::FullMatch(text, graphic);
}

}  // namespace gantry::filters
