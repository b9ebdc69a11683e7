// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/restart/plugin.h"

#include "core/config/section.h"
#include "core/events/exchange.h"
#include "core/metadata/metadata.h"
#include "core/runtime/shim_manager.h"
#include "core/runtime/task_manager.h"

namespace gantry::runtime::restart {
namespace {

constexpr absl::Duration kShortestInterval = absl::Milliseconds(10);

absl::StatusOr<Monitor::Options> ReadConfig(config::Section& section) {
  Monitor::Options options;
  ASSIGN_OR_RETURN(const absl::Duration interval, section.Get("interval", options.interval));
  if (interval == absl::ZeroDuration()) return options;
  if (interval < kShortestInterval) {
    return InvalidArgument("interval must be at least {}", absl::FormatDuration(kShortestInterval));
  }
  options.interval = interval;
  return options;
}

}  // namespace

plugin::Registration MonitorPlugin(base::WorkerPool& workers) {
  return plugin::Provide(
      kContainerMonitor,
      {.id = "restart",
       .needs = {kTasks.uri, kShimManager.uri, snapshots::kSnapshotter.uri, metadata::kMetadata.uri,
                 events::kExchange.uri},
       .configure = [](config::Section& section) { return ReadConfig(section).status(); },
       .init = [&workers](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<Monitor>> {
         ASSIGN_OR_RETURN(const Monitor::Options options, ReadConfig(init.config()));
         ASSIGN_OR_RETURN(TaskManager * tasks, init.Get(kTasks, "task"));
         ASSIGN_OR_RETURN(ShimManager * shims, init.Get(kShimManager));
         ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
         ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
         init.meta().capabilities = {"no", "always", "on-failure", "unless-stopped"};
         return std::make_unique<Monitor>(
             Monitor::Parts{.namespaces = namespaces::NamespaceStore(*metadata, *exchange),
                            .containers = containers::ContainerStore(*metadata, *exchange),
                            .snapshotters = init.All(snapshots::kSnapshotter),
                            .tasks = std::make_unique<ManagedTasks>(*tasks),
                            .loop = shims->loop(),
                            .workers = workers},
             options);
       }});
}

}  // namespace gantry::runtime::restart
