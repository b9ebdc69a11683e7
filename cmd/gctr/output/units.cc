// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/output/units.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>

namespace gantry::gctr {
namespace {

template <size_t kCount>
std::string_view Scale(double& size, double base,
                       const std::array<std::string_view, kCount>& units) {
  size_t unit = 0;
  while (size >= base && unit + 1 < units.size()) {
    size /= base;
    ++unit;
  }
  return units[unit];
}

std::string Format(absl::Time time, const char* format, absl::TimeZone zone) {
  return absl::FormatTime(format, time, zone);
}

}  // namespace

std::string BinarySize(int64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto size = static_cast<double>(bytes);
  const std::string_view unit = Scale(size, 1024, kUnits);
  return fmt::format("{:.1f} {}", size, unit);
}

std::string DecimalSize(int64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto size = static_cast<double>(bytes);
  const std::string_view unit = Scale(size, 1000, kUnits);
  return fmt::format("{:.4g}{}", size, unit);
}

std::string Age(absl::Duration age) {
  const int64_t seconds = absl::ToInt64Seconds(age);
  const int64_t minutes = seconds / 60;
  const auto hours = std::llround(absl::ToDoubleHours(age));
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return fmt::format("{} seconds", seconds);
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return fmt::format("{} minutes", minutes);
  if (hours == 1) return "About an hour";
  if (hours < 48) return fmt::format("{} hours", hours);
  if (hours < 24 * 7 * 2) return fmt::format("{} days", hours / 24);
  if (hours < 24 * 30 * 2) return fmt::format("{} weeks", hours / 24 / 7);
  if (hours < 24 * 365 * 2) return fmt::format("{} months", hours / 24 / 30);
  return fmt::format("{} years", hours / 24 / 365);
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  return Format(ToTime(time), "%Y-%m-%d%ET%H:%M:%E*SZ", absl::UTCTimeZone());
}

std::string FormatLocalTime(const google::protobuf::Timestamp& time) {
  const absl::TimeZone zone = absl::LocalTimeZone();
  const bool utc = zone.At(ToTime(time)).offset == 0;
  return Format(ToTime(time), utc ? "%Y-%m-%d%ET%H:%M:%SZ" : "%Y-%m-%d%ET%H:%M:%S%Ez", zone);
}

}  // namespace gantry::gctr
