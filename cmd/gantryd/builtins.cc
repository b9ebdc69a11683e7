// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/builtins.h"

#include "cmd/gantryd/collection.h"
#include "core/containers/plugin.h"
#include "core/content/plugin.h"
#include "core/deprecation/warnings.h"
#include "core/diff/plugin.h"
#include "core/events/exchange.h"
#include "core/images/plugin.h"
#include "core/leases/plugin.h"
#include "core/metadata/plugin.h"
#include "core/mount/manager/plugin.h"
#include "core/namespaces/plugin.h"
#include "core/process/opt.h"
#include "core/runtime/plugin.h"
#include "core/runtime/restart/plugin.h"
#include "core/runtime/sandbox/plugin.h"
#include "core/sandbox/sandbox_store.h"
#include "core/streaming/plugin.h"
#include "services/containers/service.h"
#include "services/content/service.h"
#include "services/diff/service.h"
#include "services/events/service.h"
#include "services/health/service.h"
#include "services/images/service.h"
#include "services/introspection/service.h"
#include "services/leases/service.h"
#include "services/mounts/service.h"
#include "services/namespaces/service.h"
#include "services/sandboxes/service.h"
#include "services/server/plugins.h"
#include "services/snapshots/service.h"
#include "services/streaming/service.h"
#include "services/tasks/frontend.h"
#include "services/tasks/service.h"
#include "services/version/service.h"
#include "snapshotters/native/plugin.h"
#include "snapshotters/overlayfs/plugin.h"

namespace gantry {

std::vector<plugin::Registration> Builtins(Host& host, const plugin::Graph& graph,
                                           const Surroundings& surroundings) {
  return {
      // core
      process::OptPlugin(),
      deprecation::WarningsPlugin(host.clock),
      events::ExchangePlugin(host.clock),
      metadata::StorePlugin(host.clock),
      content::LocalPlugin(host.clock),
      content::StorePlugin(),
      namespaces::StorePlugin(),
      images::StorePlugin(),
      containers::StorePlugin(),
      leases::StorePlugin(),
      mount::ErofsHandlerPlugin(),
      mount::ManagerPlugin(),
      native::NativePlugin(),
      overlayfs::OverlayPlugin(),
      streaming::RegistryPlugin(),
      diff::WalkingPlugin(host.temp_mounts, host.stream_processors),
      diff::ChainPlugin(),
      CollectionPlugin(host.metrics),
      sandbox::SandboxStorePlugin(),
      runtime::ShimManagerPlugin(surroundings.shims),
      runtime::ShimControllerPlugin(),
      runtime::TaskManagerPlugin(),
      runtime::CgroupMonitorPlugin(),
      runtime::restart::MonitorPlugin(host.workers),
      tasks::FrontendPlugin(host.workers),
      // services
      version::ServicePlugin(),
      namespaces::ServicePlugin(host.workers),
      containers::ServicePlugin(host.workers),
      content::ServicePlugin(host.workers),
      images::ServicePlugin(host.workers),
      leases::ServicePlugin(host.workers),
      mount::ServicePlugin(host.workers),
      snapshots::ServicePlugin(host.workers),
      diff::ServicePlugin(),
      tasks::ServicePlugin(host.workers),
      sandbox::StoreServicePlugin(host.workers),
      sandbox::ControllerServicePlugin(host.workers),
      events::ServicePlugin(host.workers),
      streaming::ServicePlugin(),
      health::ServicePlugin(),
      introspection::ServicePlugin(graph, host.workers),
      // sockets
      server::CallTablePlugin(host.metrics),
      server::GrpcPlugin(),
      server::GrpcTcpPlugin(),
      server::TtrpcPlugin(surroundings.grpc_socket),
      server::MetricsPlugin(host.metrics),
      server::DebugPlugin(surroundings.debug),
  };
}

}  // namespace gantry
