// SPDX-License-Identifier: Apache-2.0
// What a started server is told. The server itself is handed in by whoever makes the program.
#pragma once

#include <functional>
#include <string>

#include "core/kernel/unique_fd.h"
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
  kernel::UniqueFd connection;  // the first one, made before there was a server; empty: none was
};

// Serves until the end of the process and gives its exit code. Entered in a process that is its
// descendants' reaper, has no fds but the standard ones and those of the options, and ignores
// SIGPIPE; from `start` also in a session of its own, with /dev/null for its standard streams.
using Serve = std::function<int(ServeOptions)>;

}  // namespace gantry::shim
