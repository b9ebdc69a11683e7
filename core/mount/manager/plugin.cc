// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/plugin.h"

#include <memory>
#include <utility>

#include "core/metadata/metadata.h"
#include "core/mount/manager/activation_table.h"
#include "core/mount/manager/erofs_handler.h"
#include "core/mount/manager/loop_handler.h"

namespace gantry::mount {
namespace {

// The manager with what it borrows.
struct Held {
  explicit Held(metadata::Metadata& metadata) : table(metadata) {}

  ActivationTable table;
  LoopHandler loop;
  std::unique_ptr<MountManager> manager;  // last, so that it goes first
};

absl::StatusOr<std::shared_ptr<MountManager>> Start(plugin::InitContext& init) {
  ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
  ASSIGN_OR_RETURN(const std::filesystem::path root, init.root());
  ASSIGN_OR_RETURN(const std::filesystem::path state, init.state());
  auto held = std::make_shared<Held>(*metadata);
  MountManager::Options options{.targets = state / "t",
                                .boot_file = state / "boot-id",
                                // Snapshotters keep there what mounts are made of.
                                .roots = {root.parent_path()},
                                .handlers = {{"loop", &held->loop}}};
  for (const auto& [type, handler] : init.All(kMountHandler)) options.handlers[type] = handler;
  ASSIGN_OR_RETURN(held->manager, MountManager::Open(held->table, std::move(options)));
  RETURN_IF_ERROR(held->manager->Recover({}));
  return std::shared_ptr<MountManager>(held, held->manager.get());
}

}  // namespace

plugin::Registration ErofsHandlerPlugin() {
  return plugin::Provide(
      kMountHandler,
      {.id = "erofs",
       .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<MountHandler>> {
         init.meta().has_platform = true;
         return std::make_unique<ErofsHandler>();
       }});
}

plugin::Registration ManagerPlugin() {
  return {.type = std::string(kMountManager.uri),
          .id = "bolt",
          .needs = {std::string(metadata::kMetadata.uri), std::string(kMountHandler.uri)},
          .configure = {},
          .init = [](plugin::InitContext& init) -> absl::StatusOr<plugin::Instance> {
            ASSIGN_OR_RETURN(std::shared_ptr<MountManager> manager, Start(init));
            return plugin::Instance{std::move(manager), typeid(MountManager)};
          }};
}

}  // namespace gantry::mount
