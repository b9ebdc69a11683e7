// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/cgroup_changes.h"

#include "core/kernel/cgroup.h"

namespace gantry::runtime {

void CgroupChanges::Expect() {
  if (under_way_.exchange(true)) return;
  slow_.Run([this] {
    kernel::RejoinOwnCgroup()
        .Ignore();  // without the right to, nothing is gained, and nothing lost
    under_way_ = false;
  });
}

}  // namespace gantry::runtime
