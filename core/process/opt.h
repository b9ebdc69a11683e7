// SPDX-License-Identifier: Apache-2.0
// A folder for programs and libraries that come as images ("install"), found before the host's.
#pragma once

#include <string>

#include "core/config/section.h"
#include "core/plugin/plugin.h"

namespace gantry::process {

inline constexpr std::string_view kOptUri = "io.containerd.internal.v1.opt";

// The folder's path; empty when there is none.
absl::StatusOr<std::string> DecodeOpt(config::Section& section);

// Puts the folder's bin and lib in front of PATH and LD_LIBRARY_PATH. To be called before threads
// start.
void AddOptToEnvironment(const std::string& path);

// Makes the folder and tells clients where it is. Skipped without a path.
plugin::Registration OptPlugin();

}  // namespace gantry::process
