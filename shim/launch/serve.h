// SPDX-License-Identifier: Apache-2.0
// What a started server is told. The server itself is handed in by whoever makes the program.
#pragma once

#include <functional>
#include <string>

#include "shim/server/listening_socket.h"

namespace gantry::shim {

struct ServerSettings {
  std::string ns;              // of all its containers
  std::string id;              // of the first container; its bundle is the working directory
  std::string grpc_address;    // of the daemon
  std::string events_address;  // where the daemon takes events; empty: unknown
  std::string publish_binary;  // for events where there is no address
  bool debug = false;          // log more
};

struct ServeOptions {
  ListeningSocket socket;
  ServerSettings settings;
};

// Serves until the end of the process and gives its exit code. Entered in a process of its own
// session that is its descendants' reaper, has /dev/null for its standard streams, no other fds
// than the socket, and ignores SIGPIPE.
using Serve = std::function<int(ServeOptions)>;

}  // namespace gantry::shim
