// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "shim/cgroup/oom_watcher.h"
#include "shim/events/publisher.h"
#include "shim/io/io_context.h"
#include "shim/loop/loop.h"
#include "shim/process/children.h"
#include "shim/runtime/runtime_image.h"
#include "shim/task/exit_ledger.h"

namespace gantry::shim {

// What all containers of a shim share. Outlives them.
struct TaskContext {
  Loop& loop;
  Children& children;
  ExitLedger& ledger;
  RuntimeImage& runtime_image;
  IoContext& io;
  cgroup::OomWatcher& oom;
  Publisher& events;
  std::string ns;
  std::function<void(std::string line)> log;
  std::vector<std::string> environment;  // of runtimes
};

}  // namespace gantry::shim
