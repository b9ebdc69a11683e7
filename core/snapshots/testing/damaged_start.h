// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/config/section.h"
#include "core/events/exchange.h"
#include "core/metadata/plugin.h"
#include "core/plugin/graph.h"
#include "core/snapshots/await.h"
#include "core/snapshots/snapshotter.h"

namespace gantry::snapshots {

// What the plugin of a local snapshotter exports when it starts in `root` on a database whose one
// snapshot has lost its directory.
inline absl::StatusOr<std::map<std::string, std::string>> ExportsWhenDamaged(
    const plugin::Registration& snapshotter, const std::filesystem::path& root) {
  std::error_code error;
  std::filesystem::create_directories(root, error);
  if (error) return Internal("create {}: {}", root.string(), error.message());
  const base::SystemClock clock;
  const std::vector<plugin::Registration> all = {metadata::StorePlugin(clock),
                                                 events::ExchangePlugin(clock), snapshotter};
  config::Section section("", {{"map_size", config::Value(int64_t{1} << 28)}});
  const auto section_of = [&](std::string_view, std::string_view) -> config::Section& {
    return section;
  };
  {
    plugin::Graph graph({.root = root});
    RETURN_IF_ERROR(graph.Start(all, section_of));
    ASSIGN_OR_RETURN(Snapshotter * started, graph.Get(kSnapshotter));
    RETURN_IF_ERROR(Await<mount::Mounts>([&](auto done) {
                      started->Prepare({.ns = "ns"}, {.key = "a"}, std::move(done));
                    }).status());
  }
  std::filesystem::remove_all(root / snapshotter.uri() / "snapshots" / "1", error);
  if (error) return Internal("remove the snapshot: {}", error.message());
  plugin::Graph graph({.root = root});
  RETURN_IF_ERROR(graph.Start(all, section_of));
  for (const auto& entry : graph.entries())
    if (entry->type == kSnapshotter.uri) return entry->meta.exports;
  return NotFound("the snapshotter");
}

}  // namespace gantry::snapshots
