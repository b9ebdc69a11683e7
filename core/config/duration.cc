// SPDX-License-Identifier: Apache-2.0
#include "core/config/duration.h"

namespace gantry::config {

std::optional<absl::Duration> ParseGoDuration(std::string_view text) {
  std::string plain(text);
  for (const std::string_view micro : {"\u00b5s", "\u03bcs"}) {  // both spellings of the micro sign
    for (size_t at = plain.find(micro); at != std::string::npos; at = plain.find(micro)) {
      plain.replace(at, micro.size(), "us");
    }
  }
  absl::Duration duration;
  if (!absl::ParseDuration(plain, &duration)) return std::nullopt;
  if (duration == absl::InfiniteDuration() || duration == -absl::InfiniteDuration()) {
    return std::nullopt;
  }
  return duration;
}

std::string FormatGoDuration(absl::Duration duration) {
  std::string text = absl::FormatDuration(duration);
  if (text == "0") return "0s";
  // Go spells out the smaller units of minutes and hours.
  if (text.back() == 'h') return text + "0m0s";
  if (text.back() == 'm') return text + "0s";
  if (const size_t hours = text.find('h');
      hours != std::string::npos && text.find('m') == std::string::npos) {
    return text.substr(0, hours + 1) + "0m" + text.substr(hours + 1);
  }
  return text;
}

}  // namespace gantry::config
