// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/time/clock.h"
#include "core/containers/container_store.h"
#include "core/events/exchange.h"
#include "core/runtime/bundle.h"
#include "core/runtime/cgroup_changes.h"
#include "core/runtime/shim_manager.h"
#include "core/runtime/task.h"
#include "core/sandbox/sandbox_store.h"

namespace gantry::mount {
class MountManager;
}

namespace gantry::runtime {

// What the operations on tasks work with. Outlives them: nothing runs any more when it goes.
struct TaskEnv {
  ShimManager& shims;
  containers::ContainerStore containers;
  sandbox::SandboxStore sandboxes;
  events::Exchange& events;
  BundleRoots roots;
  TaskTable tasks;
  mount::MountManager* mounts = nullptr;  // null: shims are given all mounts as they are
  // Where the sandbox controller of shims keeps its bundles; empty: there is none.
  std::filesystem::path sandbox_bundles;
  CgroupChanges cgroup_changes{shims.slow_steps()};

  const Timeouts& timeouts() const { return shims.timeouts(); }
  absl::Time In(absl::Duration budget) const { return absl::Now() + budget; }
};

}  // namespace gantry::runtime
