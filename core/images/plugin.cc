// SPDX-License-Identifier: Apache-2.0
#include "core/images/plugin.h"

#include <memory>

#include "core/events/exchange.h"

namespace gantry::images {

plugin::Registration StorePlugin() {
  return plugin::Provide(
      kImageService,
      plugin::Spec<ImageStore>{
          .id = "images-service",
          .needs = {metadata::kMetadata.uri, events::kExchange.uri},
          .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<ImageStore>> {
            ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
            ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
            return std::make_unique<ImageStore>(*metadata, *exchange);
          }});
}

}  // namespace gantry::images
