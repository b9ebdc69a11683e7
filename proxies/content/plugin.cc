// SPDX-License-Identifier: Apache-2.0
#include "proxies/content/plugin.h"

#include <memory>
#include <utility>

#include "core/content/content.h"
#include "proxies/content/remote_backend.h"

namespace gantry::proxies {

plugin::Registration ContentPlugin(std::string name, config::ProxyPlugin proxy) {
  return plugin::Provide(content::kBackend,
                         plugin::Spec<content::Backend>{
                             .id = name,
                             .init = [name, proxy = std::move(proxy)](plugin::InitContext& init)
                                 -> absl::StatusOr<std::unique_ptr<content::Backend>> {
                               if (proxy.address.empty())
                                 return InvalidArgument("proxy plugin {} has no address", name);
                               init.meta().exports = proxy.exports;
                               init.meta().exports["address"] = proxy.address;
                               init.meta().capabilities = proxy.capabilities;
                               init.meta().has_platform = true;
                               init.meta().platform = proxy.platform;
                               return std::make_unique<RemoteBackend>(name, proxy.address);
                             }});
}

}  // namespace gantry::proxies
