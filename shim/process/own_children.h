// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <vector>

namespace gantry::shim {

// The children of this process, which has one thread; those that have lost their parent are among
// them. Empty where the kernel does not list them (CONFIG_PROC_CHILDREN).
std::vector<pid_t> OwnChildren();

}  // namespace gantry::shim
