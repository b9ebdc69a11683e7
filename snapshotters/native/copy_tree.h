// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "core/base/context.h"
#include "core/base/status.h"

namespace gantry::native {

// Copies what is below the directory `source`, and its own attributes, to the existing and empty
// directory `target`: every kind of file with owner, mode, times, hard links among each other,
// holes, and extended attributes as far as they can be set. What is mounted inside is left out.
//
// In bounded stack and fds however deep the tree is. Stops between files when `ctx` ends; what was
// copied stays.
absl::Status CopyTree(const Context& ctx, const std::filesystem::path& source,
                      const std::filesystem::path& target);

}  // namespace gantry::native
