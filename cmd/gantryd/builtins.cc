// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/builtins.h"

#include "cmd/gantryd/collection.h"
#include "core/containers/plugin.h"
#include "core/content/plugin.h"
#include "core/events/exchange.h"
#include "core/images/plugin.h"
#include "core/leases/plugin.h"
#include "core/metadata/plugin.h"
#include "core/namespaces/plugin.h"
#include "services/containers/service.h"
#include "services/content/service.h"
#include "services/images/service.h"
#include "services/leases/service.h"
#include "services/namespaces/service.h"
#include "services/version/service.h"

namespace gantry {

std::vector<plugin::Registration> Builtins(Host& host) {
  return {
      // core
      events::ExchangePlugin(host.clock),
      metadata::StorePlugin(host.clock),
      content::LocalPlugin(host.clock),
      content::StorePlugin(),
      namespaces::StorePlugin(),
      images::StorePlugin(),
      containers::StorePlugin(),
      leases::StorePlugin(),
      CollectionPlugin(),
      // services
      version::ServicePlugin(),
      namespaces::ServicePlugin(host.workers),
      containers::ServicePlugin(host.workers),
      content::ServicePlugin(host.workers),
      images::ServicePlugin(host.workers),
      leases::ServicePlugin(host.workers),
  };
}

}  // namespace gantry
