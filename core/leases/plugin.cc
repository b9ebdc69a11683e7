// SPDX-License-Identifier: Apache-2.0
#include "core/leases/plugin.h"

#include <memory>

namespace gantry::leases {

plugin::Registration StorePlugin() {
  return plugin::Provide(
      kLeaseManager,
      plugin::Spec<LeaseStore>{
          .id = "manager",
          .needs = {metadata::kMetadata.uri},
          .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<LeaseStore>> {
            ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
            return std::make_unique<LeaseStore>(*metadata);
          }});
}

}  // namespace gantry::leases
