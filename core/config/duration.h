// SPDX-License-Identifier: Apache-2.0
// Durations as Go writes them: "1h30m", "100ms", "0s".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace gantry::config {

// Nothing for text that is no finite duration.
std::optional<absl::Duration> ParseGoDuration(std::string_view text);

std::string FormatGoDuration(absl::Duration duration);

}  // namespace gantry::config
