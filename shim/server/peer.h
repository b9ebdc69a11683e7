// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace gantry::shim {

// Whether the process at the other end of a unix socket, as it was when that was connected or made,
// has our user and group.
bool IsOneOfUs(int connection);

}  // namespace gantry::shim
