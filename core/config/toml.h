// SPDX-License-Identifier: Apache-2.0
// TOML 1.0 text to a tree and back.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/config/value.h"

namespace gantry::config {

// Positions name `file`. InvalidArgument with line and column for text that is no TOML. Dates and
// times become strings.
absl::StatusOr<Table> ParseToml(std::string_view text, std::string_view file);

// Keys in byte order, a table's own values before its tables. What it writes parses back to the
// same tree.
std::string RenderToml(const Table& table);

}  // namespace gantry::config
