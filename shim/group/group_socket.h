// SPDX-License-Identifier: Apache-2.0
// The socket of a group's server: who may start that server agrees by its name, which is made so
// that whoever finds it can rely on somebody listening there.
#pragma once

#include <string>

#include "core/kernel/result.h"
#include "shim/server/listening_socket.h"

namespace gantry::shim {

// Whether somebody serves at the path. Takes 100 ms where the queue of connections is full.
bool IsServed(const std::string& path);

// A name beside the socket's that nobody looks for: of no more characters, and told from those of
// others by `tag`, of at most 15 characters.
std::string NameBeside(const std::string& path, const std::string& tag);

// The tag that a daemon uses when it makes the socket for this container: always the same, so that
// what a killed one leaves is found.
std::string DaemonTag(const std::string& id);

// Gives a listening socket the group's name, in the place of one that nobody serves. False: another
// server of the group is there.
kernel::Result<bool> TakeName(ListeningSocket& socket, const std::string& path);

// Removes what was left of a server that is gone: the socket's name, and the one that the daemon
// may have used for this container. One that is served stays.
void RemoveDeadSocket(const std::string& path, const std::string& id);

}  // namespace gantry::shim
