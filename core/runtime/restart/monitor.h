// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "core/base/worker_pool.h"
#include "core/containers/container_store.h"
#include "core/namespaces/namespace_store.h"
#include "core/runtime/loop.h"
#include "core/runtime/restart/task_control.h"
#include "core/snapshots/snapshotter.h"

namespace gantry::runtime::restart {

class MonitorCore;

// Brings containers to the state that their labels ask for, in every namespace: policy.h has the
// rules.
//
// A pass reads the containers on a worker and sets out on what is to be done with each; what waits
// for a shim holds no thread, and the next pass leaves alone what is not done yet, so a container
// that hangs delays no other. Under way at once are at most as many changes as there are containers
// with such labels. Nothing is remembered across a restart but the labels themselves.
//
// A task that is only created is replaced if it is so in two passes on end: in between it may be
// its client that is about to start it. A task whose state cannot be told is left alone.
//
// Ownership: what `Parts` refers to outlives the monitor.
// Threads:   all methods from any thread but those of the loop and the workers.
class Monitor {
 public:
  struct Parts {
    namespaces::NamespaceStore namespaces;
    containers::ContainerStore containers;
    std::map<std::string, snapshots::Snapshotter*> snapshotters;
    std::unique_ptr<TaskControl> tasks;
    Loop& loop;
    base::WorkerPool& workers;
  };
  struct Options {
    absl::Duration interval = absl::Seconds(10);  // from the end of a pass to the next
    absl::Duration budget = absl::Minutes(5);     // for all that is done with one container
  };

  Monitor(Parts parts, Options options);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // Begins with a pass at once.
  void Start();
  // Returns when nothing runs that could begin anything any more; waits for local disk at most. A
  // task that is being created is given up, one that is being started goes on. Idempotent.
  void Stop();

 private:
  const std::shared_ptr<MonitorCore> core_;
};

}  // namespace gantry::runtime::restart
