// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "shim/process/own_children.h"
#include "shim/task/container.h"
#include "shim/task/kill_session.h"

namespace gantry::shim {
namespace {

std::string PidNamespace(const std::string& process) {
  std::array<char, 64> link;
  const ssize_t length =
      ::readlink(("/proc/" + process + "/ns/pid").c_str(), link.data(), link.size());
  return length > 0 ? std::string(link.data(), static_cast<size_t>(length)) : std::string();
}

}  // namespace

// What a runtime makes becomes a child of the shim when the command ends. One that lives in a PID
// namespace of the container's own and is nobody's, although no command runs that may make one, was
// made by a command that was killed before it told the pid. Where the namespace is ours, a child
// may as well be a descendant that lost its parent.
void Container::LookForOrphans() {
  if (!orphans_possible_ || context_.ledger.pending() > 0 || !cgroup_) return;
  orphans_possible_ = false;
  const auto pids = cgroup_->Pids();
  if (!pids) return;
  const std::string theirs = PidNamespace(std::to_string(init_.pid));
  if (theirs.empty() || theirs == PidNamespace("self")) return;
  for (const pid_t child : OwnChildren()) {
    if (context_.ledger.Owns(child) || !std::binary_search(pids->begin(), pids->end(), child))
      continue;
    if (PidNamespace(std::to_string(child)) != theirs) continue;
    Log("a killed exec command left process " + std::to_string(child));
    KillSession(child, cgroup_);
  }
}

}  // namespace gantry::shim
