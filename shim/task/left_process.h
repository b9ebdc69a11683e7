// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <string>

#include "shim/io/endpoint.h"

namespace gantry::shim {

// Finds the process of an exec whose runtime was killed before it told the pid: such a process has
// lost its parent, so it is a child of the shim, and the pipes that it writes to are of its exec
// alone.
//
// Threads: one.
class LeftProcess {
 public:
  // The writing ends are open still.
  explicit LeftProcess(const std::array<Pipe, 2>& pipes);

  // To be asked after the runtime has been reaped. Nothing: there is none, or the kernel does not
  // list children (CONFIG_PROC_CHILDREN).
  std::optional<pid_t> Find() const;

 private:
  bool Has(pid_t pid) const;

  std::array<std::string, 2> pipes_;  // as the kernel names them
};

}  // namespace gantry::shim
