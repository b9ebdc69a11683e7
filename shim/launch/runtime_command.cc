// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/runtime_command.h"

#include <signal.h>

#include <utility>

#include "shim/runtime/binary.h"

namespace gantry::shim {

kernel::Result<kernel::CommandResult> RunRuntime(const std::string& program,
                                                 std::vector<std::string> arguments,
                                                 int timeout_ms) {
  kernel::SpawnOptions options;
  options.program = program;
  options.arguments = std::move(arguments);
  options.arguments.insert(options.arguments.begin(), program);
  options.environment = RuntimeEnvironment();
  options.parent_death_signal = SIGKILL;
  options.new_session = true;
  return kernel::RunCommand(std::move(options), {}, {.timeout_ms = timeout_ms});
}

}  // namespace gantry::shim
