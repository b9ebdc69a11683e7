// SPDX-License-Identifier: Apache-2.0
#include "core/sandbox/sandbox_store.h"

namespace gantry::sandbox {

plugin::Registration SandboxStorePlugin() {
  return plugin::Provide(
      kSandboxStore,
      {.id = "local",
       .needs = {metadata::kMetadata.uri},
       .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<SandboxStore>> {
         ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
         return std::make_unique<SandboxStore>(*metadata);
       }});
}

}  // namespace gantry::sandbox
