// SPDX-License-Identifier: Apache-2.0
#include "core/containers/plugin.h"

#include <memory>

#include "core/events/exchange.h"

namespace gantry::containers {

plugin::Registration StorePlugin() {
  return plugin::Provide(
      kContainerService,
      plugin::Spec<ContainerStore>{
          .id = "containers-service",
          .needs = {metadata::kMetadata.uri, events::kExchange.uri},
          .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<ContainerStore>> {
            ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
            ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
            return std::make_unique<ContainerStore>(*metadata, *exchange);
          }});
}

}  // namespace gantry::containers
