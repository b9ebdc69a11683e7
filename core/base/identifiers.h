// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace gantry {

inline constexpr size_t kMaxIdentifierBytes = 76;

// Namespaces, container and sandbox ids, topic components: at most 76 bytes, alphanumeric runs
// joined by single '.', '_' or '-'. InvalidArgument otherwise, naming the value.
absl::Status ValidateIdentifier(std::string_view id);

}  // namespace gantry
