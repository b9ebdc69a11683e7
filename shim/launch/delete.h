// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "core/kernel/result.h"
#include "shim/launch/flags.h"

namespace gantry::shim {

struct DeleteRequest {
  Flags flags;
  int output = 1;                // where the answer goes
  std::string socket_directory;  // of the group's server, unless the bundle links to another
  // What could not be done, which ends nothing.
  std::function<void(const std::string& text)> warn;
};

// Removes what is left of a container, with or without a server, for a daemon that has lost it: has
// the OCI runtime delete it, unmounts its rootfs, answers with its pid, and removes the socket of
// its group's server if nobody serves it. May be repeated, and takes less than five seconds,
// whatever hangs.
//
// The bundle is the directory named after the container beside the working directory, else -bundle.
kernel::Result<void> DeleteContainer(const DeleteRequest& request);

}  // namespace gantry::shim
