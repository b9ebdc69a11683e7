// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "core/runtime/steps.h"

namespace gantry::runtime {

// Tells the kernel beforehand that a process is about to be put into a cgroup.
//
// An OCI runtime comes to that point some milliseconds after its task or exec was asked for, and
// waits there for what kernel::RejoinOwnCgroup() tells of. A change that changes nothing, begun
// when the request comes, takes the wait out of its way.
//
// Threads: any. Lifetime: outlives its steps.
class CgroupChanges {
 public:
  explicit CgroupChanges(Steps& slow) : slow_(slow) {}
  CgroupChanges(const CgroupChanges&) = delete;

  // Begins such a change, and returns. Where one is under way, that will do.
  void Expect();

 private:
  Steps& slow_;
  std::atomic<bool> under_way_ = false;
};

}  // namespace gantry::runtime
