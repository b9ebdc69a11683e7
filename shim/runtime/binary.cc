// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/binary.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/kernel/command.h"

namespace gantry::shim {
namespace {

bool IsExecutable(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

kernel::Result<std::string> FindBinary(const std::string& name) {
  if (name.empty()) return kernel::FindProgram(kDefaultRuntime);
  if (name.find('/') == std::string::npos) return kernel::FindProgram(name);
  if (IsExecutable(name)) return name;
  return kernel::Error{ENOENT, "OCI runtime " + name};
}

RuntimeFamily FamilyOf(std::string_view binary) {
  const std::string_view base = binary.substr(binary.rfind('/') + 1);
  if (base.find("crun") != std::string_view::npos) return RuntimeFamily::kCrun;
  if (base.find("youki") != std::string_view::npos) return RuntimeFamily::kYouki;
  return RuntimeFamily::kRunc;
}

std::vector<std::string> RuntimeEnvironment(std::vector<std::string> environment) {
  static constexpr std::array<std::string_view, 4> kDropped = {
      "NOTIFY_SOCKET=", "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES="};
  std::erase_if(environment, [](const std::string& entry) {
    return std::any_of(kDropped.begin(), kDropped.end(),
                       [&entry](std::string_view name) { return entry.starts_with(name); });
  });
  return environment;
}

std::vector<std::string> RuntimeEnvironment() {
  std::vector<std::string> environment;
  for (char** entry = ::environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  return RuntimeEnvironment(std::move(environment));
}

}  // namespace gantry::shim
