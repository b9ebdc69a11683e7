// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace gantry {

// Calls `visit` for each entry of a directory, in no order, until one fails. An error of the disk
// while reading is returned too: the standard library's range-for throws it. An absent directory is
// NotFound.
absl::Status ForEachEntry(
    const std::filesystem::path& directory,
    absl::FunctionRef<absl::Status(const std::filesystem::directory_entry&)> visit);

}  // namespace gantry
