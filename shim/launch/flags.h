// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::shim {

// The command line of a shim binary, as daemons write it.
struct Flags {
  bool debug = false;
  bool version = false;
  bool info = false;
  std::string ns;
  std::string id;
  std::string socket;
  std::string debug_socket;
  std::string bundle;
  std::string address;  // of the daemon's gRPC server
  std::string publish_binary;
  std::string action;  // the first argument that is no flag; empty: none
};

// Reads arguments (without the program's name) as Go programs do: -name value, -name=value, with
// one dash or two; flags that are true or false stand alone. The first argument that is no flag, or
// "--", ends them. EINVAL with a text for the user.
kernel::Result<Flags> ParseFlags(const std::vector<std::string_view>& arguments);

// Lines that name all flags.
std::string FlagUsage();

}  // namespace gantry::shim
