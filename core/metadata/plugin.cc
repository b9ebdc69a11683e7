// SPDX-License-Identifier: Apache-2.0
#include "core/metadata/plugin.h"

#include <memory>
#include <string>

#include "core/config/section.h"
#include "core/metadata/metadata.h"

namespace gantry::metadata {
namespace {

struct Settings {
  std::string policy;
  bool no_sync = false;
  // Address space, not disk: the file grows as it is used. Small ones are for tests of a full
  // store.
  int64_t map_size_bytes = 0;
};

absl::StatusOr<Settings> Decode(config::Section& section) {
  Settings settings;
  ASSIGN_OR_RETURN(settings.policy, section.Get("content_sharing_policy", std::string("shared")));
  ASSIGN_OR_RETURN(settings.no_sync, section.Get("no_sync", false));
  ASSIGN_OR_RETURN(settings.map_size_bytes, section.Get("map_size", int64_t{64} << 30));
  if (settings.policy != "shared" && settings.policy != "isolated") {
    return InvalidArgument("content_sharing_policy is \"shared\" or \"isolated\", not {:?}",
                           settings.policy);
  }
  if (settings.map_size_bytes <= 0) return InvalidArgument("map_size must be positive");
  return settings;
}

}  // namespace

plugin::Registration StorePlugin(const base::Clock& clock) {
  return plugin::Provide(
      kMetadata,
      plugin::Spec<Metadata>{
          .id = "bolt",
          .configure = [](config::Section& section) { return Decode(section).status(); },
          .init = [&clock](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<Metadata>> {
            ASSIGN_OR_RETURN(const Settings settings, Decode(init.config()));
            ASSIGN_OR_RETURN(const std::filesystem::path root, init.root());
            const std::filesystem::path path = root / "lmdb";
            init.meta().exports["policy"] = settings.policy;
            init.meta().exports["path"] = path.string();
            return Metadata::Open(
                {.db = {.path = path,
                        .map_size_bytes = static_cast<uint64_t>(settings.map_size_bytes),
                        .no_sync = settings.no_sync},
                 .content_shared = settings.policy == "shared"},
                clock);
          }});
}

}  // namespace gantry::metadata
