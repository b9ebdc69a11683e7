// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace gantry::kernel {

// Whether this process is in a user namespace below the first, so that root here is not the host's.
bool InUserNamespace();

}  // namespace gantry::kernel
