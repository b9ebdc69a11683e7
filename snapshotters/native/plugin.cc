// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/native/plugin.h"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "core/config/section.h"
#include "core/events/exchange.h"
#include "core/snapshots/local_snapshotter.h"
#include "snapshotters/native/native_driver.h"

namespace gantry::native {
namespace {

struct Config {
  std::string root_path;  // empty: the plugin's own folder
  bool durable_commit = true;
};

absl::StatusOr<Config> Decode(config::Section& section) {
  Config config;
  ASSIGN_OR_RETURN(config.root_path, section.Get("root_path", config.root_path));
  ASSIGN_OR_RETURN(config.durable_commit, section.Get("durable_commit", config.durable_commit));
  return config;
}

absl::StatusOr<std::unique_ptr<snapshots::Snapshotter>> Open(plugin::InitContext& init) {
  ASSIGN_OR_RETURN(const Config config, Decode(init.config()));
  ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
  ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
  std::filesystem::path root = config.root_path;
  if (root.empty()) {
    ASSIGN_OR_RETURN(root, init.root());
  }
  init.meta().has_platform = true;
  init.meta().exports["root"] = root;
  ASSIGN_OR_RETURN(auto directories, snapshots::SnapshotDirectories::Open(root));
  ASSIGN_OR_RETURN(auto snapshotter, snapshots::LocalSnapshotter::Open(
                                         *metadata, *exchange, "native",
                                         std::make_unique<NativeDriver>(std::move(directories)),
                                         {.durable_commit = config.durable_commit}));
  if (const size_t damaged = snapshotter->damaged().size(); damaged > 0)
    init.meta().exports["damaged"] = std::to_string(damaged);
  return snapshotter;
}

}  // namespace

plugin::Registration NativePlugin() {
  return plugin::Provide(
      snapshots::kSnapshotter,
      {.id = "native",
       .needs = {metadata::kMetadata.uri, events::kExchange.uri},
       .configure = [](config::Section& section) { return Decode(section).status(); },
       .init = Open});
}

}  // namespace gantry::native
