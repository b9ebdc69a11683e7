// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace gantry::base {

// Runs `body` in the network namespace that `netns` is open on, on a thread of its own that ends
// with it: this thread stays where it is, and nothing has to be restored. Sockets made inside keep
// belonging to the namespace. Costs a thread; not for hot paths.
absl::Status RunInNetns(int netns, absl::FunctionRef<absl::Status()> body);

}  // namespace gantry::base
