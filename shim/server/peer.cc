// SPDX-License-Identifier: Apache-2.0
#include "shim/server/peer.h"

#include <sys/socket.h>
#include <unistd.h>

namespace gantry::shim {

bool IsOneOfUs(int connection) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == ::geteuid() && peer.gid == ::getegid();
}

}  // namespace gantry::shim
