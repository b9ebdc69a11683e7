// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/runtime_command.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace gantry::shim {
namespace {

constexpr char kDefaultRuntime[] = "runc";
constexpr std::array<std::string_view, 4> kNotPassedOn = {
    "NOTIFY_SOCKET=", "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES="};

std::vector<std::string> Environment() {
  std::vector<std::string> environment;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (std::none_of(kNotPassedOn.begin(), kNotPassedOn.end(),
                     [text](std::string_view name) { return text.starts_with(name); })) {
      environment.emplace_back(text);
    }
  }
  return environment;
}

}  // namespace

kernel::Result<std::string> FindRuntime(const std::string& configured) {
  if (configured.find('/') == std::string::npos) {
    return kernel::FindProgram(configured.empty() ? kDefaultRuntime : configured);
  }
  if (::access(configured.c_str(), X_OK) != 0) {
    return kernel::LastError("find runtime " + configured);
  }
  return configured;
}

kernel::Result<kernel::CommandResult> RunRuntime(const std::string& program,
                                                 std::vector<std::string> arguments,
                                                 int timeout_ms) {
  kernel::SpawnOptions options;
  options.program = program;
  options.arguments = std::move(arguments);
  options.arguments.insert(options.arguments.begin(), program);
  options.environment = Environment();
  options.parent_death_signal = SIGKILL;
  options.new_session = true;
  return kernel::RunCommand(std::move(options), {}, {.timeout_ms = timeout_ms});
}

}  // namespace gantry::shim
