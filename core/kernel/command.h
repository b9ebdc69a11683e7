// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "core/kernel/result.h"
#include "core/kernel/subprocess.h"

namespace gantry::kernel {

// The path of a helper program: looked for in $PATH, then where Debian keeps such (a service's
// $PATH may lack sbin). ENOENT when it is not installed.
Result<std::string> FindProgram(const std::string& name);

struct CommandLimits {
  int timeout_ms = 30'000;
  size_t max_output_bytes = 1UL << 20;  // of each stream; more is read and dropped
};

struct CommandResult {
  ExitStatus status;
  std::string output;
  std::string errors;
};

// Runs a program to its end and gathers what it wrote. `options.stdio` is replaced: the program
// reads `input` and writes to us.
//
// Returns when the program itself ends, whoever of its children still holds the streams. ETIMEDOUT
// when it was killed for taking too long.
Result<CommandResult> RunCommand(SpawnOptions options, const std::string& input = {},
                                 const CommandLimits& limits = {});

}  // namespace gantry::kernel
