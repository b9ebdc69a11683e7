// SPDX-License-Identifier: Apache-2.0
#include "shim/task/exit_ledger.h"

namespace gantry::shim {

void ExitLedger::Own(pid_t pid, Owner owner) {
  const auto orphan = orphans_.find(pid);
  if (orphan == orphans_.end()) {
    owners_[pid] = std::move(owner);
    return;
  }
  const Exit exit = orphan->second;
  orphans_.erase(orphan);
  owner(exit);
}

void ExitLedger::Ended(const Exit& exit) {
  const auto found = owners_.find(exit.pid);
  if (found != owners_.end()) {
    // The owner may own another process at once.
    const Owner owner = std::move(found->second);
    owners_.erase(found);
    owner(exit);
  } else if (pending_ > 0) {
    orphans_[exit.pid] = exit;  // a pid that was used twice is that of the later process
  }
}

}  // namespace gantry::shim
