// SPDX-License-Identifier: Apache-2.0
// Whose data the root holds. What is not this daemon's own record is never swept, so a root that
// holds more than that is refused, and left as it is.
#pragma once

#include "absl/status/status.h"
#include "core/config/config.h"

namespace gantry {

// Before anything is made below the root: FailedPrecondition for a root that has no database of
// ours, but containerd's, or blobs or snapshots.
absl::Status CheckForeignRoot(const config::Config& config);

// With the root locked, before any plugin starts: FailedPrecondition for blobs or snapshots that
// our database does not know. A database that cannot be opened is its plugin's to report.
absl::Status CheckKnownRoot(config::Config& config);

}  // namespace gantry
