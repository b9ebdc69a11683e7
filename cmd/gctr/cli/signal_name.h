// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace gantry::gctr {

// "9", "KILL", "SIGKILL", "sigkill", "RTMIN+3". InvalidArgument for what is no signal of this
// system.
absl::StatusOr<int> ParseSignal(const std::string& text);

}  // namespace gantry::gctr
