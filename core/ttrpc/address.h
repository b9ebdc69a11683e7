// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "core/kernel/unique_fd.h"

namespace gantry::ttrpc {

// Starts connecting to a shim's address and gives a non-blocking socket, which may still be
// connecting: "unix://<path>", "vsock://<cid>:<port>", or, without "://", the name of a Linux
// abstract socket, even where it looks like a path.
//
// Errors: NotFound and Unavailable for a socket that is absent or that nobody listens on,
// InvalidArgument for an address that is none, Unimplemented for "hvsock://".
absl::StatusOr<kernel::UniqueFd> DialAddress(const std::string& address);

// A listening unix socket at `path`; a socket file that nobody listens on is replaced. `mode` is
// exact. InvalidArgument for a path over 104 characters.
absl::StatusOr<kernel::UniqueFd> ListenUnix(const std::string& path, unsigned mode);

}  // namespace gantry::ttrpc
