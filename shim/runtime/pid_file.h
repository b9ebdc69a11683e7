// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "core/kernel/result.h"

namespace gantry::shim {

// The pid that a runtime wrote. EINVAL when the file holds none.
kernel::Result<pid_t> ReadPidFile(const std::string& path);

// Removes it, and what runc leaves when it is killed while it writes one: the file that it would
// have given that name.
void RemovePidFile(const std::string& path);

}  // namespace gantry::shim
