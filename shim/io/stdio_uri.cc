// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stdio_uri.h"

#include <algorithm>
#include <cerrno>
#include <optional>

namespace gantry::shim {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// RFC 3986, section 3.1. Takes the scheme and its colon off the text.
std::string TakeScheme(std::string_view& text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || !IsLetter(text[0])) return {};
  std::string scheme;
  for (const char c : text.substr(0, colon)) {
    if (!IsLetter(c) && !IsDigit(c) && c != '+' && c != '-' && c != '.') return {};
    scheme += Lower(c);
  }
  text.remove_prefix(colon + 1);
  return scheme;
}

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<std::string> Decode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return {};
      const int high = HexValue(text[i + 1]);
      const int low = HexValue(text[i + 2]);
      if (high < 0 || low < 0) return {};
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (c == '\0') return {};
    decoded += c;
  }
  return decoded;
}

std::string_view TakeUntil(std::string_view& text, char separator) {
  const size_t end = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

bool ParseQuery(std::string_view text, StdioUri& uri) {
  while (!text.empty()) {
    std::string_view value = TakeUntil(text, '&');
    if (value.empty()) continue;
    auto key = Decode(TakeUntil(value, '='), true);
    auto decoded = Decode(value, true);
    if (!key || !decoded) return false;
    const bool known = std::any_of(uri.query.begin(), uri.query.end(),
                                   [&key](const auto& pair) { return pair.first == *key; });
    if (!known) uri.query.emplace_back(*std::move(key), *std::move(decoded));
  }
  return true;
}

}  // namespace

kernel::Result<StdioUri> ParseStdioUri(std::string_view text) {
  const kernel::Error malformed{EINVAL, "stdio URI " + std::string(text)};
  if (text.find('\0') != std::string_view::npos) return malformed;
  StdioUri uri;
  std::string_view rest = text;
  uri.scheme = TakeScheme(rest);
  if (uri.scheme.empty()) {
    uri.path = text;
    return uri;
  }
  rest = TakeUntil(rest, '#');
  std::string_view path = TakeUntil(rest, '?');
  if (path.starts_with("//")) {
    const size_t slash = path.find('/', 2);  // what stands before it names a host, of no use here
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash);
  }
  auto decoded = Decode(path, false);
  if (!decoded || !ParseQuery(rest, uri)) return malformed;
  uri.path = *std::move(decoded);
  return uri;
}

}  // namespace gantry::shim
