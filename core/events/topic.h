// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace gantry::events {

// A topic is "/" and identifiers joined by "/": "/tasks/start". InvalidArgument otherwise.
absl::Status ValidateTopic(std::string_view topic);

}  // namespace gantry::events
