// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace gantry::process {

// Tells the service manager how this process is doing ("READY=1", "STOPPING=1"), as sd_notify(3)
// does: one datagram to the socket that NOTIFY_SOCKET names. OK without such a variable.
absl::Status NotifyServiceManager(std::string_view state);

}  // namespace gantry::process
