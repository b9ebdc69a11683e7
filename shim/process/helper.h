// SPDX-License-Identifier: Apache-2.0
// Work that may block for as long as a file system likes, in a process of its own.
#pragma once

#include <functional>

#include "core/kernel/result.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"
#include "shim/process/children.h"

namespace gantry::shim {

// Runs `work` in a copy of this process and gives what it gave: what it changes in memory is lost,
// what it changes in the kernel (mounts, files) stays. It has its own working directory, and of our
// fds the standard ones alone. ETIMEDOUT at the deadline: the copy, which may be stuck in the
// kernel, is killed and left behind, to be reaped when it ends.
Co<kernel::Result<void>> RunInHelper(Loop& loop, Children& children,
                                     std::function<kernel::Result<void>()> work,
                                     Time deadline = kNever);

}  // namespace gantry::shim
