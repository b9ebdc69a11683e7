// SPDX-License-Identifier: Apache-2.0
#include "shim/io/log_format.h"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace gantry::shim {
namespace {

constexpr std::string_view kReplacement = "\\ufffd";

// The length of the UTF-8 character that the text begins with; 0 when it begins with none.
size_t CharacterLength(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (text.size() < length) return 0;
  const auto second = static_cast<uint8_t>(text[1]);
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
    return 0;
  for (const char c : text.substr(1, length - 1)) {
    if ((static_cast<uint8_t>(c) & 0xc0) != 0x80) return 0;
  }
  return length;
}

void AppendEscaped(char c, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto byte = static_cast<uint8_t>(c);
  switch (c) {
    case '"':
    case '\\':
      out += '\\';
      out += c;
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      if (byte >= 0x20) {
        out += c;
        return;
      }
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
  }
}

void AppendJsonText(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (length == 0) {
      out += kReplacement;
    } else if (length == 1) {
      AppendEscaped(text[0], out);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

// The number in so many digits, and what stands behind it.
void AppendDigits(uint64_t number, size_t digits, char end, std::string& out) {
  out.append(digits, '0');
  for (auto digit = out.rbegin(); digits > 0; --digits, ++digit, number /= 10) {
    *digit = static_cast<char>('0' + number % 10);
  }
  out += end;
}

}  // namespace

// By hand: printf() and gmtime_r(), which reads the time zone's file, cost every shim memory.
std::string LogTime(timespec time) {
  const std::chrono::sys_seconds seconds{std::chrono::seconds(time.tv_sec)};
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(seconds - day);
  std::string text;
  AppendDigits(static_cast<uint64_t>(static_cast<int>(date.year())), 4, '-', text);
  AppendDigits(static_cast<unsigned>(date.month()), 2, '-', text);
  AppendDigits(static_cast<unsigned>(date.day()), 2, 'T', text);
  AppendDigits(static_cast<uint64_t>(clock.hours().count()), 2, ':', text);
  AppendDigits(static_cast<uint64_t>(clock.minutes().count()), 2, ':', text);
  AppendDigits(static_cast<uint64_t>(clock.seconds().count()), 2, '.', text);
  AppendDigits(static_cast<uint64_t>(time.tv_nsec), 9, 'Z', text);
  return text;
}

void AppendLogLine(LogFormat format, const LogLine& line, std::string& out) {
  switch (format) {
    case LogFormat::kRaw:
      out += line.content;
      if (line.complete) out += '\n';
      return;
    case LogFormat::kCri:
      out += line.time;
      out += ' ';
      out += line.stream;
      out += line.complete ? " F " : " P ";
      out += line.content;
      out += '\n';
      return;
    case LogFormat::kJson:
      out += "{\"log\":\"";
      AppendJsonText(line.content, out);
      out += line.complete ? "\\n\",\"stream\":\"" : "\",\"stream\":\"";
      out += line.stream;
      out += "\",\"time\":\"";
      out += line.time;
      out += "\"}\n";
      return;
  }
}

}  // namespace gantry::shim
