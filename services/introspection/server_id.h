// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "core/base/status.h"

namespace gantry::introspection {

// The daemon's persistent id: the UUID in `<folder>/uuid`, made when the file is missing or empty.
// A file that holds no UUID is an error and stays as it is: an operator may know better.
absl::StatusOr<std::string> ServerId(const std::filesystem::path& folder);

}  // namespace gantry::introspection
