// SPDX-License-Identifier: Apache-2.0
#include "core/diff/plugin.h"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/config/section.h"
#include "core/content/plugin.h"
#include "core/diff/differ_chain.h"
#include "core/diff/walking_differ.h"
#include "core/mount/manager/plugin.h"

namespace gantry::diff {
namespace {

struct ChainConfig {
  std::vector<std::string> order = {"walking"};
  bool sync_fs = false;
};

// The differ with what it borrows.
struct Held {
  explicit Held(mount::TempMounts mounts) : temp_mounts(std::move(mounts)) {}

  mount::TempMounts temp_mounts;
  std::unique_ptr<WalkingDiffer> differ;  // last, so that it goes first
};

absl::StatusOr<std::shared_ptr<Differ>> OpenWalking(plugin::InitContext& init,
                                                    const std::filesystem::path& temp_mounts,
                                                    const StreamProcessors& processors) {
  ASSIGN_OR_RETURN(content::ContentStore * content,
                   init.Get(content::kContentService, "content-service"));
  ASSIGN_OR_RETURN(mount::MountManager * manager, init.Get(mount::kMountManager));
  // Not before the database is ours: what is mounted there may be another daemon's.
  ASSIGN_OR_RETURN(mount::TempMounts opened, mount::TempMounts::Open(temp_mounts));
  auto held = std::make_shared<Held>(std::move(opened));
  held->differ = std::make_unique<WalkingDiffer>(
      *content, held->temp_mounts,
      WalkingDiffer::Options{.processors = processors,
                             .activate = [manager](const Context& ctx, mount::Mounts mounts) {
                               return manager->ActivateScoped(ctx, std::move(mounts));
                             }});
  init.meta().has_platform = true;
  return std::shared_ptr<Differ>(held, held->differ.get());
}

absl::StatusOr<ChainConfig> Decode(config::Section& section) {
  ChainConfig config;
  ASSIGN_OR_RETURN(config.order, section.Get("default", config.order));
  ASSIGN_OR_RETURN(config.sync_fs, section.Get("sync_fs", config.sync_fs));
  return config;
}

absl::StatusOr<std::unique_ptr<DifferChain>> OpenChain(plugin::InitContext& init) {
  ASSIGN_OR_RETURN(const ChainConfig config, Decode(init.config()));
  std::vector<Differ*> differs;
  for (const std::string& id : config.order) {
    auto differ = init.Get(kDiffer, id);
    if (!differ.ok()) return Annotate(differ.status(), fmt::format("differ {:?}", id));
    differs.push_back(*differ);
  }
  return std::make_unique<DifferChain>(std::move(differs), config.sync_fs);
}

}  // namespace

plugin::Registration WalkingPlugin(std::filesystem::path temp_mounts, StreamProcessors processors) {
  return {
      .type = std::string(kDiffer.uri),
      .id = "walking",
      // Of its kind this one alone: the chain of differs is of the same kind.
      .needs = {"io.containerd.service.v1.content-service", std::string(mount::kMountManager.uri)},
      .configure = {},
      .init = [temp_mounts = std::move(temp_mounts), processors = std::move(processors)](
                  plugin::InitContext& init) -> absl::StatusOr<plugin::Instance> {
        ASSIGN_OR_RETURN(std::shared_ptr<Differ> differ,
                         OpenWalking(init, temp_mounts, processors));
        return plugin::Instance{std::move(differ), typeid(Differ)};
      }};
}

plugin::Registration ChainPlugin() {
  return plugin::Provide(
      kDiffService,
      plugin::Spec<DifferChain>{
          .id = "diff-service",
          .needs = {kDiffer.uri},
          .configure = [](config::Section& section) { return Decode(section).status(); },
          .init = OpenChain});
}

}  // namespace gantry::diff
