// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "core/config/config.h"

namespace gantry {

// Prints the effective configuration, version 4, with every plugin's defaults, on standard output;
// what the files hold that is ignored, on standard error.
absl::Status PrintConfig(config::Config& config);

}  // namespace gantry
