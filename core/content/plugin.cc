// SPDX-License-Identifier: Apache-2.0
#include "core/content/plugin.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/content/local_backend.h"
#include "core/events/exchange.h"
#include "core/log/log.h"

namespace gantry::content {
namespace {

std::string NamesOf(const std::map<std::string, Backend*>& backends) {
  std::string names;
  for (const auto& [id, backend] : backends) {
    if (!names.empty()) names += ", ";
    names += fmt::format("{}.{}", kBackend.uri, id);
  }
  return names;
}

}  // namespace

plugin::Registration LocalPlugin(const base::Clock& clock) {
  return plugin::Provide(
      kBackend,
      plugin::Spec<Backend>{
          .id = "content",
          .init = [&clock](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<Backend>> {
            ASSIGN_OR_RETURN(const std::filesystem::path root, init.root());
            init.meta().exports["root"] = root.string();
            return LocalBackend::Open(root, clock);
          }});
}

plugin::Registration StorePlugin() {
  return plugin::Provide(
      kContentService,
      plugin::Spec<ContentStore>{
          .id = "content-service",
          .needs = {kBackend.uri, metadata::kMetadata.uri, events::kExchange.uri},
          .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<ContentStore>> {
            const auto backends = init.All(kBackend);
            if (backends.size() > 1) {
              return InvalidArgument(
                  "only one {} may be loaded: list all but one of {} in disabled_plugins",
                  kBackend.uri, NamesOf(backends));
            }
            ASSIGN_OR_RETURN(Backend * backend, init.Get(kBackend));
            ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
            ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
            auto store = std::make_unique<ContentStore>(*metadata, *backend, *exchange);
            ASSIGN_OR_RETURN(const std::vector<std::string> lost, store->FindLost({}));
            for (const std::string& blob : lost)
              log::Error("content has lost its bytes", {{"digest", blob}});
            if (!lost.empty()) init.meta().exports["lost"] = std::to_string(lost.size());
            return store;
          }});
}

}  // namespace gantry::content
