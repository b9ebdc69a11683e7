// SPDX-License-Identifier: Apache-2.0
// How a daemon of this project starts the server of its own shim without `start`. It binds the
// group's socket, connects before there is a process, and executes the program as a server:
//
//   fd 3   the listening socket; its name is in the environment, for the kernel knows the one alone
//          that it was bound under
//   fd 4   the server's end of a connection, on which calls may wait already
#pragma once

namespace gantry::shim {

inline constexpr int kListenerFd = 3;
inline constexpr int kConnectionFd = 4;
// Names the socket. Its presence says that there is a connection. Not handed on to OCI runtimes.
inline constexpr char kSocketVariable[] = "GANTRY_SHIM_SOCKET";
// A program that can be started like this says so in its answer to -v.
inline constexpr char kConnectedStartLine[] = "  Start:    connected\n";

}  // namespace gantry::shim
