// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/launch/program.h"

namespace gantry::shim {

// The main() of a shim binary, with its exit code. `argv` is main()'s, which a server writes over.
//
//   <flags> start     starts the server of the group that the container in the working directory
//                     belongs to, or finds it, and answers where it is
//   <flags> delete    removes what is left of a container, server or no server
//   <flags>           serves, on the socket at fd 3 (connected_start.h: and the connection at fd 4)
//                     or at the path -socket
//   -v, -info         say what this is
//
// Process: single-threaded. Errors go to standard error, with exit code 1, or 2 for wrong usage.
int Main(int argc, char** argv, const Program& program);

}  // namespace gantry::shim
