// SPDX-License-Identifier: Apache-2.0
#include "shim/task/left_process.h"

#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "shim/process/own_children.h"

namespace gantry::shim {

LeftProcess::LeftProcess(const std::array<Pipe, 2>& pipes) {
  for (size_t i = 0; i < pipes.size(); ++i) {
    struct stat status {};
    if (::fstat(pipes[i].write.get(), &status) == 0)
      files_[i] = {.device = status.st_dev, .inode = status.st_ino};
  }
}

std::optional<pid_t> LeftProcess::Find() const {
  for (const pid_t child : OwnChildren()) {
    if (Has(child)) return child;
  }
  return std::nullopt;
}

bool LeftProcess::Has(pid_t pid) const {
  for (const char* stream : {"1", "2"}) {
    struct stat status {};
    const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + stream;
    if (::stat(path.c_str(), &status) != 0) continue;
    const File file{.device = status.st_dev, .inode = status.st_ino};
    if (file.inode != 0 && std::find(files_.begin(), files_.end(), file) != files_.end())
      return true;
  }
  return false;
}

}  // namespace gantry::shim
