// SPDX-License-Identifier: Apache-2.0
#include "core/metadata/plugin.h"

#include <memory>
#include <string>

#include "core/config/section.h"
#include "core/metadata/metadata.h"
#include "core/metadata/root.h"

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

// `folder` is the plugin's own.
Metadata::Options OptionsOf(const Settings& settings, const std::filesystem::path& folder) {
  return {.db = {.path = folder / "lmdb",
                 .map_size_bytes = static_cast<uint64_t>(settings.map_size_bytes),
                 .no_sync = settings.no_sync},
          .content_shared = settings.policy == "shared"};
}

std::filesystem::path FolderBelow(const std::filesystem::path& root) {
  return root / fmt::format("{}.bolt", kMetadata.uri);
}

}  // namespace

bool HasDatabase(const std::filesystem::path& root) {
  std::error_code error;
  return std::filesystem::exists(FolderBelow(root) / "lmdb" / "data.mdb", error);
}

absl::Status CheckForeignDatabase(const std::filesystem::path& root) {
  std::error_code error;
  const std::filesystem::path file = FolderBelow(root) / "meta.db";
  if (!std::filesystem::exists(file, error) || HasDatabase(root)) return absl::OkStatus();
  return FailedPrecondition(
      "{} belongs to containerd (it holds {}): nothing was changed. Ways out: give the daemon "
      "another root, or move this one away",
      root.string(), file.string());
}

absl::StatusOr<std::unique_ptr<Metadata>> OpenAt(const std::filesystem::path& root,
                                                 config::Section& section,
                                                 const base::Clock& clock) {
  ASSIGN_OR_RETURN(const Settings settings, Decode(section));
  return Metadata::Open(OptionsOf(settings, FolderBelow(root)), clock);
}

plugin::Registration StorePlugin(const base::Clock& clock) {
  return plugin::Provide(
      kMetadata,
      plugin::Spec<Metadata>{
          .id = "bolt",
          .configure = [](config::Section& section) { return Decode(section).status(); },
          .init = [&clock](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<Metadata>> {
            ASSIGN_OR_RETURN(const Settings settings, Decode(init.config()));
            ASSIGN_OR_RETURN(const std::filesystem::path root, init.root());
            const Metadata::Options options = OptionsOf(settings, root);
            init.meta().exports["policy"] = settings.policy;
            init.meta().exports["path"] = options.db.path.string();
            return Metadata::Open(options, clock);
          }});
}

}  // namespace gantry::metadata
