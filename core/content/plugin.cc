// SPDX-License-Identifier: Apache-2.0
#include "core/content/plugin.h"

#include <memory>

#include "core/content/local_backend.h"
#include "core/events/exchange.h"

namespace gantry::content {

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
                  "{} content backends are loaded and one is wanted: list the others in "
                  "disabled_plugins",
                  backends.size());
            }
            ASSIGN_OR_RETURN(Backend * backend, init.Get(kBackend));
            ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
            ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
            return std::make_unique<ContentStore>(*metadata, *backend, *exchange);
          }});
}

}  // namespace gantry::content
