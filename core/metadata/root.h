// SPDX-License-Identifier: Apache-2.0
// The database's place below the daemon's root, for who looks before the daemon starts.
#pragma once

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/config/section.h"
#include "core/metadata/metadata.h"

namespace gantry::metadata {

// Whether `root` has a database of ours.
bool HasDatabase(const std::filesystem::path& root);

// FailedPrecondition, with the ways out, if `root` holds containerd's database and none of ours.
absl::Status CheckForeignDatabase(const std::filesystem::path& root);

// Opens the database of `root` with the settings of `section`, as the plugin does; made if missing.
absl::StatusOr<std::unique_ptr<Metadata>> OpenAt(const std::filesystem::path& root,
                                                 config::Section& section,
                                                 const base::Clock& clock);

}  // namespace gantry::metadata
