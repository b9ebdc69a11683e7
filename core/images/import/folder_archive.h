// SPDX-License-Identifier: Apache-2.0
// An OCI layout that lies unpacked in a folder, read as the tar that it would be.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/stream.h"

namespace gantry::images {

// A tar of the regular files below `folder`, by name; links and whatever else is there are left
// out. Files are opened one at a time, when their turn comes.
// Errors: NotFound and others of the file system; DataLoss where a file's size changes meanwhile.
absl::StatusOr<std::unique_ptr<Reader>> OpenFolderArchive(const std::string& folder);

}  // namespace gantry::images
