// SPDX-License-Identifier: Apache-2.0
// Starting the server of our own shim as a child of this process, without the program that `start`
// would be, and with a connection that is there before the server is.
//
// Each step finds what the one before has left, should we be killed in between: the bundle tells
// the program and the socket before there is a socket, and the program's `delete` removes one that
// nobody serves; a server that runs is found by its socket.
#pragma once

#include <google/protobuf/any.pb.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "core/base/status.h"
#include "core/kernel/unique_fd.h"
#include "core/runtime/bootstrap.h"
#include "core/runtime/bundle.h"
#include "core/runtime/launcher.h"
#include "core/runtime/loop.h"
#include "core/runtime/shim_process.h"

namespace gantry::runtime {

struct LaunchedServer {
  Endpoint endpoint;  // noted in the bundle
  // Absent where the group has a server already, whoever started it.
  kernel::UniqueFd connection;
  std::shared_ptr<ShimProcess> process;
};

// Has a server run for the group that the bundle's container belongs to. Calls on the connection
// are answered once it is up; if it does not come up, the connection breaks. Blocks until exec.
//
// Errors: Unknown with what failed, ResourceExhausted. After one, there is no server, and nothing
// in the bundle tells of one.
absl::StatusOr<LaunchedServer> LaunchServer(
    Loop& loop, const Launcher::Options& options, const Bundle& bundle,
    const std::filesystem::path& program,
    const std::optional<google::protobuf::Any>& runtime_options);

}  // namespace gantry::runtime
