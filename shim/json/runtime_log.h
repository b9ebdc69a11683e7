// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gantry::shim {

// An error that an OCI runtime has logged.
struct RuntimeLogError {
  std::string message;
  std::string_view record;  // the JSON object as logged, within the log
};

// The last error in an OCI runtime's JSON log: a record of level error, fatal or panic (in any
// case) with a message (`msg` or `message`, at the top or under `fields`). What is no JSON object
// is passed over, and only the last kLogTailBytes are looked at.
inline constexpr size_t kLogTailBytes = 65536;
std::optional<RuntimeLogError> LastRuntimeError(std::string_view log);

}  // namespace gantry::shim
