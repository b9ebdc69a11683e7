// SPDX-License-Identifier: Apache-2.0
#include "core/namespaces/plugin.h"

#include <memory>

#include "core/events/exchange.h"

namespace gantry::namespaces {

plugin::Registration StorePlugin() {
  return plugin::Provide(
      kNamespaceService,
      plugin::Spec<NamespaceStore>{
          .id = "namespaces-service",
          .needs = {metadata::kMetadata.uri, events::kExchange.uri},
          .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<NamespaceStore>> {
            ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
            ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
            return std::make_unique<NamespaceStore>(*metadata, *exchange);
          }});
}

}  // namespace gantry::namespaces
