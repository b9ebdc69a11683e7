// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/sandbox/plugin.h"

#include <memory>
#include <utility>

#include "core/runtime/plugin.h"
#include "core/runtime/sandbox/shim_controller.h"

namespace gantry::runtime {

plugin::Registration ShimControllerPlugin() {
  return plugin::Provide(sandbox::kController,
                         plugin::Spec<sandbox::Controller>{
                             .id = std::string(kShimControllerId),
                             .needs = {kShimManager.uri},
                             .init = [](plugin::InitContext& init)
                                 -> absl::StatusOr<std::unique_ptr<sandbox::Controller>> {
                               ASSIGN_OR_RETURN(ShimManager * shims, init.Get(kShimManager));
                               BundleRoots roots;
                               ASSIGN_OR_RETURN(roots.state, init.state());
                               ASSIGN_OR_RETURN(roots.root, init.root());
                               return ShimController::Create(*shims, std::move(roots));
                             }});
}

}  // namespace gantry::runtime
