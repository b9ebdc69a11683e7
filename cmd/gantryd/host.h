// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/resource.h>

#include <filesystem>
#include <optional>

#include "core/base/clock.h"
#include "core/base/worker_pool.h"
#include "core/diff/layer_source.h"
#include "core/metrics/registry.h"

namespace gantry {

// What plugins share that is no plugin. Outlives the plugin graph.
struct Host {
  // Calls that local disk bounds, writers that wait for their flush among them; far more may wait
  // than run.
  static constexpr size_t kWorkers = 16;
  static constexpr size_t kMaxQueued = 4096;

  base::SystemClock clock;
  metrics::Registry metrics;
  base::WorkerPool workers{"worker", kWorkers, kMaxQueued};
  std::filesystem::path temp_mounts;  // directory for mounts that are made for one look
  diff::StreamProcessors stream_processors;
  std::optional<rlimit> open_files_of_shims;  // absent: ours
};

}  // namespace gantry
