// SPDX-License-Identifier: Apache-2.0
#include "core/log/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <memory>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace gantry::log {
namespace {

constexpr std::array<std::string_view, 7> kLevelNames = {"trace", "debug", "info", "warning",
                                                         "error", "fatal", "panic"};

// The logger is the process's one stderr, so it is process-wide like stderr itself.
struct Sink {
  std::atomic<Level> level = Level::kInfo;
  std::atomic<Format> format = Format::kText;
  std::shared_ptr<spdlog::sinks::stderr_sink_mt> out =
      std::make_shared<spdlog::sinks::stderr_sink_mt>();
  Sink() { out->set_pattern("%v"); }
};

Sink& TheSink() {
  static Sink sink;
  return sink;
}

void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == '"' || c == '=' || c == '\\' || c == 0x7f)
      return true;
  }
  return false;
}

void AppendField(std::string& out, Format format, std::string_view key, std::string_view value,
                 bool bare) {
  if (format == Format::kJson) {
    out += out.empty() ? '{' : ',';
    AppendQuoted(out, key);
    out += ':';
    if (bare) {
      out += value;
    } else {
      AppendQuoted(out, value);
    }
    return;
  }
  if (!out.empty()) out += ' ';
  out += key;
  out += '=';
  if (NeedsQuotes(value)) {
    AppendQuoted(out, value);
  } else {
    out += value;
  }
}

}  // namespace

Field::Field(std::string_view key, const absl::Status& status)
    : key(key), value(status.ToString()) {}

void Configure(Level level, Format format) {
  TheSink().level = level;
  TheSink().format = format;
}

bool ParseLevel(std::string_view text, Level& level) {
  if (text == "warn") text = "warning";
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == text) {
      level = static_cast<Level>(i);
      return true;
    }
  }
  return false;
}

std::string Render(Format format, Level level, std::string_view time, std::string_view message,
                   Fields fields) {
  std::string line;
  AppendField(line, format, "time", time, false);
  AppendField(line, format, "level", kLevelNames[static_cast<size_t>(level)], false);
  AppendField(line, format, "msg", message, false);
  for (const Field& field : fields) AppendField(line, format, field.key, field.value, field.bare);
  if (format == Format::kJson) line += '}';
  return line;
}

void Write(Level level, std::string_view message, Fields fields) {
  Sink& sink = TheSink();
  if (level < sink.level.load(std::memory_order_relaxed)) return;
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E9SZ", absl::Now(), absl::UTCTimeZone());
  const std::string line = Render(sink.format, level, time, message, fields);
  sink.out->log(spdlog::details::log_msg("", spdlog::level::info, line));
  if (level >= Level::kWarn) sink.out->flush();
}

}  // namespace gantry::log
