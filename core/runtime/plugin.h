// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "core/plugin/plugin.h"
#include "core/runtime/shim_manager.h"
#include "core/runtime/task_manager.h"

namespace gantry::runtime {

// What may be shown of tasks on the metrics page.
struct TaskMonitor {
  bool prometheus = true;
};
inline constexpr plugin::Kind<TaskMonitor> kTaskMonitor{"io.containerd.monitor.task.v1"};

// The controller whose sandboxes tasks may join.
inline constexpr std::string_view kShimControllerId = "shim";
inline constexpr std::string_view kShimControllerUri = "io.containerd.sandbox.controller.v1.shim";

// "io.containerd.shim.v1.manager". What its section says (`env`, `socket_dir`) is added to
// `options`.
plugin::Registration ShimManagerPlugin(ShimManager::Options options);

// "io.containerd.runtime.v2.task". Takes up running tasks when it starts, after the sandboxes that
// they may have joined, and sees to it that the
// event exchange announces each exit once.
plugin::Registration TaskManagerPlugin();

// "io.containerd.monitor.task.v1.cgroups"
plugin::Registration CgroupMonitorPlugin();

}  // namespace gantry::runtime
