// SPDX-License-Identifier: Apache-2.0
// Structured log lines: a constant message and fields. Goes to stderr as logfmt or JSON.
//
//   log::Info("task exited", {{"container", id}, {"exit_status", status}});
//
// An error is returned or logged, never both: log where it stops travelling. Never log credentials,
// environments or request bodies. All functions are thread-safe.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace gantry::log {

enum class Level { kTrace, kDebug, kInfo, kWarn, kError, kFatal, kPanic };
enum class Format { kText, kJson };

// One key and its value as text; values that JSON can show bare (numbers, booleans) are marked.
struct Field {
  std::string_view key;
  std::string value;
  bool bare = false;

  Field(std::string_view key, std::string_view text) : key(key), value(text) {}
  Field(std::string_view key, const std::string& text) : key(key), value(text) {}
  Field(std::string_view key, const char* text) : key(key), value(text) {}
  Field(std::string_view key, bool flag) : key(key), value(flag ? "true" : "false"), bare(true) {}
  Field(std::string_view key, std::integral auto number)
      : key(key), value(fmt::to_string(number)), bare(true) {}
  Field(std::string_view key, std::floating_point auto number)
      : key(key), value(fmt::to_string(number)), bare(true) {}
  Field(std::string_view key, const absl::Status& status);
};

using Fields = std::initializer_list<Field>;

// Called by main before threads start; the defaults are info and text.
void Configure(Level level, Format format);

// "trace" … "panic"; nothing for another word.
bool ParseLevel(std::string_view text, Level& level);

void Write(Level level, std::string_view message, Fields fields);

inline void Trace(std::string_view message, Fields fields = {}) {
  Write(Level::kTrace, message, fields);
}
inline void Debug(std::string_view message, Fields fields = {}) {
  Write(Level::kDebug, message, fields);
}
inline void Info(std::string_view message, Fields fields = {}) {
  Write(Level::kInfo, message, fields);
}
inline void Warn(std::string_view message, Fields fields = {}) {
  Write(Level::kWarn, message, fields);
}
inline void Error(std::string_view message, Fields fields = {}) {
  Write(Level::kError, message, fields);
}

// One line, without its end, as Write() would print it. Control characters are escaped.
std::string Render(Format format, Level level, std::string_view time, std::string_view message,
                   Fields fields);

}  // namespace gantry::log
