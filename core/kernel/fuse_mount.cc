// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/fuse_mount.h"

#include "core/kernel/command.h"

namespace gantry::kernel {
namespace {

// The helper's first lines; it may be chatty.
constexpr size_t kMaxErrorText = 1024;

Result<void> RunTool(const std::string& program, std::vector<std::string> arguments) {
  SpawnOptions options;
  options.program = program;
  options.arguments = std::move(arguments);
  options.arguments.insert(options.arguments.begin(), program);
  auto ran = RunCommand(options, {}, {.timeout_ms = 30'000, .max_output_bytes = kMaxErrorText});
  if (!ran) return ran.error();
  if (ran->status.success()) return {};
  return Error{EIO, program + " exited with " + std::to_string(ran->status.AsShellCode()) + ": " +
                        ran->errors};
}

}  // namespace

bool IsFuseType(std::string_view type) {
  return type.starts_with("fuse.") || type.starts_with("fuse3.");
}

Result<void> MountFuse(const std::string& type, const std::string& source,
                       const std::string& target, const std::vector<std::string>& options) {
  const size_t dot = type.find('.');
  auto program = FindProgram("mount." + type.substr(0, dot));
  if (!program) return program.error();
  std::vector<std::string> arguments = {source, target};
  for (const std::string& option : options) {
    arguments.emplace_back("-o");
    arguments.push_back(option);
  }
  arguments.emplace_back("-t");
  arguments.push_back(type.substr(dot + 1));
  return RunTool(*program, std::move(arguments));
}

Result<void> UnmountFuse(const std::string& target) {
  Result<void> result = Error{ENOENT, "find program fusermount"};
  for (const char* name : {"fusermount3", "fusermount"}) {
    auto program = FindProgram(name);
    if (!program) continue;
    result = RunTool(*program, {"-u", target});
    if (result) return result;
  }
  return result;
}

}  // namespace gantry::kernel
