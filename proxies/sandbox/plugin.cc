// SPDX-License-Identifier: Apache-2.0
#include "proxies/sandbox/plugin.h"

#include <memory>
#include <utility>

#include "core/sandbox/controller.h"
#include "proxies/sandbox/remote_controller.h"

namespace gantry::proxies {

plugin::Registration SandboxPlugin(std::string name, config::ProxyPlugin proxy) {
  return plugin::Provide(sandbox::kController,
                         plugin::Spec<sandbox::Controller>{
                             .id = name,
                             .init = [name, proxy = std::move(proxy)](plugin::InitContext& init)
                                 -> absl::StatusOr<std::unique_ptr<sandbox::Controller>> {
                               if (proxy.address.empty()) {
                                 return InvalidArgument("proxy plugin {} has no address", name);
                               }
                               init.meta().exports = proxy.exports;
                               init.meta().exports["address"] = proxy.address;
                               init.meta().capabilities = proxy.capabilities;
                               init.meta().has_platform = true;
                               init.meta().platform = proxy.platform;
                               return std::make_unique<RemoteController>(name, proxy.address);
                             }});
}

}  // namespace gantry::proxies
