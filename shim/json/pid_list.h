// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::shim {

// The pids that `ps --format json` of an OCI runtime prints: an array of positive integers, or null
// when there are none. EINVAL for anything else.
kernel::Result<std::vector<pid_t>> ParsePidList(std::string_view text);

}  // namespace gantry::shim
