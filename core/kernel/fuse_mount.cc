// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/fuse_mount.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/kernel/command.h"

namespace gantry::kernel {
namespace {

// The helper's first lines; it may be chatty.
constexpr size_t kMaxErrorText = 1024;

// Looks in $PATH, then where Debian keeps such helpers (a service's $PATH may lack sbin).
Result<std::string> FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  const std::string all = std::string(rest) + ":/usr/sbin:/usr/bin:/sbin:/bin";
  for (rest = all; !rest.empty();) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const std::string candidate = std::string(rest.substr(0, end)) + "/" + name;
    // An empty or relative part means the working directory, which is nobody's choice here.
    if (candidate.starts_with('/') && end > 0 && ::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return Error{ENOENT, "find program " + name};
}

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
