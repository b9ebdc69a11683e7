// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/proxy/plugin.h"

#include <memory>
#include <utility>

#include "core/events/exchange.h"
#include "core/snapshots/snapshotter.h"
#include "snapshotters/proxy/proxy_snapshotter.h"

namespace gantry::proxy {

plugin::Registration SnapshotterPlugin(std::string name, config::ProxyPlugin proxy) {
  return plugin::Provide(
      snapshots::kSnapshotter,
      plugin::Spec<snapshots::Snapshotter>{
          .id = name,
          .needs = {metadata::kMetadata.uri, events::kExchange.uri},
          .init = [name, proxy = std::move(proxy)](plugin::InitContext& init)
              -> absl::StatusOr<std::unique_ptr<snapshots::Snapshotter>> {
            if (proxy.address.empty())
              return InvalidArgument("proxy plugin {} has no address", name);
            ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
            ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
            init.meta().exports = proxy.exports;
            init.meta().exports["address"] = proxy.address;
            init.meta().capabilities = proxy.capabilities;
            init.meta().has_platform = true;
            init.meta().platform = proxy.platform;
            return ProxySnapshotter::Open(*metadata, *exchange, name, {.address = proxy.address});
          }});
}

}  // namespace gantry::proxy
