// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/kernel/result.h"
#include "core/kernel/subprocess.h"
#include "shim/launch/serve.h"

namespace gantry::shim {

struct ServerProcessOptions {
  const ListeningSocket* socket = nullptr;  // borrowed
  std::string final_path;                   // that the socket will be moved to
  ServerSettings settings;
  int argc = 0;  // main()'s, to be overwritten in the server
  char** argv = nullptr;
};

// A server that waits for its word to serve, and ends if we do without having given it.
struct StartedServer {
  kernel::Subprocess process;  // ends with this unless it is released
  kernel::UniqueFd word;

  kernel::Result<void> Go();
};

// Makes a copy of this process that is to serve, and waits until it is about to: from then on it
// holds nothing of ours but the socket.
kernel::Result<StartedServer> StartServerProcess(const ServerProcessOptions& options,
                                                 const Serve& serve);

// Makes this process the reaper of its descendants, and has it ignore SIGPIPE. For a binary that is
// executed as a server; StartServerProcess() does it too.
kernel::Result<void> PrepareServer();

}  // namespace gantry::shim
