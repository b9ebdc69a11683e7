// SPDX-License-Identifier: Apache-2.0
#include "shim/task/left_process.h"

#include <unistd.h>

#include <algorithm>

#include "shim/process/own_children.h"

namespace gantry::shim {
namespace {

// What an fd is open on, by the name that the kernel gives it, which costs no look at the file:
// that may be on a disk that does not answer. Empty: there is no such fd.
std::string NameOf(const std::string& process, const std::string& fd) {
  std::array<char, 64> name;  // none of a pipe is as long
  const ssize_t length =
      ::readlink(("/proc/" + process + "/fd/" + fd).c_str(), name.data(), name.size());
  return length > 0 ? std::string(name.data(), static_cast<size_t>(length)) : std::string();
}

}  // namespace

LeftProcess::LeftProcess(const std::array<Pipe, 2>& pipes) {
  for (size_t i = 0; i < pipes.size(); ++i) {
    pipes_[i] = NameOf("self", std::to_string(pipes[i].write.get()));
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
    const std::string name = NameOf(std::to_string(pid), stream);
    if (!name.empty() && std::find(pipes_.begin(), pipes_.end(), name) != pipes_.end()) return true;
  }
  return false;
}

}  // namespace gantry::shim
