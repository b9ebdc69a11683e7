// SPDX-License-Identifier: Apache-2.0
// A file's bytes on their way in.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "core/archive/entry.h"
#include "core/archive/tar_reader.h"
#include "core/base/context.h"

namespace gantry::archive {

// Writes the content of the entry that `archive` stands at into the empty file `fd`; holes of a
// sparse entry stay holes.
absl::Status WriteContent(const Context& ctx, const Entry& entry, TarReader& archive, int fd);

// Copies all of `from`, which is open for reading, into the empty file `to`.
absl::Status CopyContent(const Context& ctx, int from, int to, std::string_view name);

}  // namespace gantry::archive
