// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"

namespace gantry::server {

// Where a unix socket lies and who may connect to it: the owner and the group, mode 0660.
struct SocketOptions {
  std::string address;  // an absolute path
  uid_t uid = 0;
  gid_t gid = 0;
};

// Makes the place ready for a socket: the folder (0770, owned as the socket) if there is none, and
// no stale socket in it. InvalidArgument for a path that is relative or too long for the kernel
// (104 characters, the least that any system takes); AlreadyExists where something else than a
// socket lies.
absl::Status PrepareSocket(const SocketOptions& options);

// Gives a bound socket its owner and mode.
absl::Status ProtectSocket(const SocketOptions& options);

}  // namespace gantry::server
