// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/kernel/result.h"
#include "shim/launch/flags.h"
#include "shim/launch/program.h"

namespace gantry::shim {

struct StartRequest {
  Flags flags;
  std::string input;  // what the daemon wrote
  int output = 1;     // where the answer goes
  int argc = 0;       // main()'s, for the server to write over
  char** argv = nullptr;
};

// Has a server run for the group that the container belongs to, whose bundle is the working
// directory, and answers the daemon where it listens. When this returns, the server is there and
// the answer written; or there is an error, and what was made is gone again.
kernel::Result<void> StartShim(const StartRequest& request, const Program& program);

}  // namespace gantry::shim
