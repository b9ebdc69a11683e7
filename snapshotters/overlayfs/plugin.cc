// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/overlayfs/plugin.h"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/config/section.h"
#include "core/events/exchange.h"
#include "core/snapshots/local_snapshotter.h"
#include "snapshotters/overlayfs/overlay_driver.h"

namespace gantry::overlayfs {
namespace {

struct Config {
  std::string root_path;  // empty: the plugin's own folder
  bool upperdir_label = false;
  bool sync_remove = false;
  bool slow_chown = false;  // clients may copy and chown where id maps do not reach
  std::vector<std::string> mount_options;
  bool durable_commit = true;
};

absl::StatusOr<Config> Decode(config::Section& section) {
  Config config;
  ASSIGN_OR_RETURN(config.root_path, section.Get("root_path", config.root_path));
  ASSIGN_OR_RETURN(config.upperdir_label, section.Get("upperdir_label", config.upperdir_label));
  ASSIGN_OR_RETURN(config.sync_remove, section.Get("sync_remove", config.sync_remove));
  ASSIGN_OR_RETURN(config.slow_chown, section.Get("slow_chown", config.slow_chown));
  ASSIGN_OR_RETURN(config.mount_options, section.Get("mount_options", config.mount_options));
  ASSIGN_OR_RETURN(config.durable_commit, section.Get("durable_commit", config.durable_commit));
  return config;
}

void Describe(const Config& config, const Support& support, const std::filesystem::path& root,
              plugin::Meta& meta) {
  meta.has_platform = true;
  meta.exports["root"] = root;
  if (support.remap_ids) meta.capabilities.emplace_back(snapshots::kRemapIdsCapability);
  if (!config.slow_chown) meta.capabilities.emplace_back(snapshots::kOnlyRemapIdsCapability);
  // Unpacking without the parent makes whiteout devices, which a user namespace may not.
  if (!support.in_user_namespace) meta.capabilities.emplace_back(snapshots::kRebaseCapability);
}

absl::StatusOr<std::unique_ptr<snapshots::Snapshotter>> Open(plugin::InitContext& init) {
  ASSIGN_OR_RETURN(Config config, Decode(init.config()));
  ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
  ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
  std::filesystem::path root = config.root_path;
  if (root.empty()) {
    ASSIGN_OR_RETURN(root, init.root());
  }
  ASSIGN_OR_RETURN(auto directories, snapshots::SnapshotDirectories::Open(root));
  if (const absl::Status types = CheckDirectoryTypes(root); absl::IsFailedPrecondition(types)) {
    return plugin::Skip(std::string(types.message()));
  } else if (!types.ok()) {
    return types;
  }
  ASSIGN_OR_RETURN(const Support support, DetectSupport(root));
  Describe(config, support, root, init.meta());
  OverlayDriver::Options options{
      .mount_options = MountOptions(std::move(config.mount_options), support),
      .remap_ids = support.remap_ids,
      .upperdir_label = config.upperdir_label};
  ASSIGN_OR_RETURN(
      auto snapshotter,
      snapshots::LocalSnapshotter::Open(
          *metadata, *exchange, "overlayfs",
          std::make_unique<OverlayDriver>(std::move(directories), std::move(options)),
          {.durable_commit = config.durable_commit, .sync_remove = config.sync_remove}));
  if (const size_t damaged = snapshotter->damaged().size(); damaged > 0)
    init.meta().exports["damaged"] = std::to_string(damaged);
  return snapshotter;
}

}  // namespace

plugin::Registration OverlayPlugin() {
  return plugin::Provide(
      snapshots::kSnapshotter,
      {.id = "overlayfs",
       .needs = {metadata::kMetadata.uri, events::kExchange.uri},
       .configure = [](config::Section& section) { return Decode(section).status(); },
       .init = Open});
}

}  // namespace gantry::overlayfs
