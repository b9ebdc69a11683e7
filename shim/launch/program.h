// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "core/kernel/result.h"
#include "shim/group/socket_path.h"
#include "shim/launch/serve.h"

namespace gantry::shim {

// What makes a shim of this folder: where it serves and what it is called.
struct Program {
  std::string version;
  std::string revision;
  Serve serve;
  // Moves a process into a cgroup that must exist, in every hierarchy.
  std::function<kernel::Result<void>(const std::string& cgroup, pid_t pid)> join_cgroup;
  std::string socket_directory = kSocketDirectory;
};

}  // namespace gantry::shim
