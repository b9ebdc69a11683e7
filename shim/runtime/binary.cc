// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/binary.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace gantry::shim {
namespace {

bool IsExecutable(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

kernel::Result<std::string> FindBinary(const std::string& name, std::string_view path) {
  const kernel::Error not_found{ENOENT, "OCI runtime " + name};
  if (name.find('/') != std::string::npos) {
    if (IsExecutable(name)) return name;
    return not_found;
  }
  while (!path.empty()) {
    const std::string_view folder = path.substr(0, path.find(':'));
    path.remove_prefix(std::min(path.size(), folder.size() + 1));
    // An empty element means the current directory, where nobody keeps runtimes.
    if (folder.empty()) continue;
    std::string candidate(folder);
    candidate.append("/").append(name);
    if (IsExecutable(candidate)) return candidate;
  }
  return not_found;
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

}  // namespace gantry::shim
