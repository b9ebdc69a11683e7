// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "core/kernel/result.h"

namespace gantry::shim {

// The pid that a runtime wrote. EINVAL when the file holds none.
kernel::Result<pid_t> ReadPidFile(const std::string& path);

}  // namespace gantry::shim
