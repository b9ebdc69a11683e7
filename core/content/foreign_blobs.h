// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "absl/status/status.h"
#include "core/metadata/metadata.h"

namespace gantry::content {

// The daemon's check before it starts anything: FailedPrecondition, with the ways out, if the local
// content store below `root` (io.containerd.content.v1.content) holds blobs that this database
// cannot have left there: another daemon's, or those of a later or lost state of this database.
// `metadata` is null while there is no database: then any blob is foreign. Reads only.
absl::Status CheckForeignBlobs(const metadata::Metadata* metadata,
                               const std::filesystem::path& root);

}  // namespace gantry::content
