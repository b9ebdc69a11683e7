// SPDX-License-Identifier: Apache-2.0
#include "proxies/diff/plugin.h"

#include <memory>
#include <utility>

#include "core/diff/differ.h"
#include "proxies/diff/remote_differ.h"

namespace gantry::proxies {

plugin::Registration DiffPlugin(std::string name, config::ProxyPlugin proxy) {
  return plugin::Provide(
      diff::kDiffer,
      plugin::Spec<diff::Differ>{.id = name,
                                 .init = [name, proxy = std::move(proxy)](plugin::InitContext& init)
                                     -> absl::StatusOr<std::unique_ptr<diff::Differ>> {
                                   if (proxy.address.empty()) {
                                     return InvalidArgument("proxy plugin {} has no address", name);
                                   }
                                   init.meta().exports = proxy.exports;
                                   init.meta().exports["address"] = proxy.address;
                                   init.meta().capabilities = proxy.capabilities;
                                   init.meta().has_platform = true;
                                   init.meta().platform = proxy.platform;
                                   return std::make_unique<RemoteDiffer>(name, proxy.address);
                                 }});
}

}  // namespace gantry::proxies
