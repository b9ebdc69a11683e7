// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/pid_file.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "core/kernel/file.h"

namespace gantry::shim {

kernel::Result<pid_t> ReadPidFile(const std::string& path) {
  auto text = kernel::ReadFile(path, 64);
  if (!text) return text.error();
  const size_t start = text->find_first_not_of(" \t\r\n");
  pid_t pid = 0;
  if (start != std::string::npos)
    std::from_chars(text->data() + start, text->data() + text->size(), pid);
  if (pid <= 0) return kernel::Error{EINVAL, "no pid in " + path};
  return pid;
}

void RemovePidFile(const std::string& path) {
  ::unlink(path.c_str());
  const size_t name = path.rfind('/') + 1;
  ::unlink((path.substr(0, name) + "." + path.substr(name)).c_str());
}

}  // namespace gantry::shim
