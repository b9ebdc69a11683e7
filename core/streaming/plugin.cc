// SPDX-License-Identifier: Apache-2.0
#include "core/streaming/plugin.h"

#include "core/streaming/stream_registry.h"

namespace gantry::streaming {

plugin::Registration RegistryPlugin() {
  return plugin::Provide(
      kStreams,
      plugin::Spec<StreamRegistry>{
          .id = "manager",
          .init = [](plugin::InitContext&) -> absl::StatusOr<std::unique_ptr<StreamRegistry>> {
            return std::make_unique<StreamRegistry>();
          }});
}

}  // namespace gantry::streaming
