// SPDX-License-Identifier: Apache-2.0
// Files of older versions, brought to version 4 in memory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/config/value.h"

namespace gantry::config {

inline constexpr int kVersion = 4;

// Something that the user should know about a file and that does not stop the start.
struct Warning {
  std::string text;
  std::string key;
  Position position;
};

// Steps `file` from its own `version` up to 4, one version at a time:
//   2 -> 3  CRI splits into images, runtime and streaming; moved plugins
//   3 -> 4  the sections grpc, ttrpc, debug (its address) and metrics become plugins
// FailedPrecondition for a version that is absent, below 2 or above 4.
absl::Status ConvertToCurrent(Table& file, std::string_view name, std::vector<Warning>& warnings);

// The steps, by what they move; each leaves alone what is already in its new place.
void MovePlugins(Table& plugins, std::vector<Warning>& warnings);
void SplitCri(Table& plugins);
void MoveServers(Table& file);

}  // namespace gantry::config
