// SPDX-License-Identifier: Apache-2.0
#include "services/server/plugins.h"

#include <memory>
#include <utility>

#include "core/config/section.h"
#include "core/events/exchange.h"
#include "services/rpc/service.h"
#include "services/server/debug_pages.h"
#include "services/server/grpc_server.h"
#include "services/server/http_server.h"
#include "services/server/server.h"
#include "services/server/ttrpc_server.h"

namespace gantry::server {
namespace {

using ServerOr = absl::StatusOr<std::unique_ptr<Server>>;

// A table of calls whose numbers are published while it lives.
class PublishedCallTable final : public CallTable {
 public:
  PublishedCallTable(bool histogram, metrics::Registry& registry)
      : CallTable(histogram),
        registration_(registry.Add(
            [this](std::vector<metrics::Family>& families) { AddMetrics(families); })) {}

 private:
  metrics::Registry::Registration registration_;
};

absl::StatusOr<bool> DecodeHistogram(config::Section& section) {
  return section.Get("grpc_histogram", false);
}

absl::StatusOr<SocketOptions> DecodeDebug(config::Section& section) {
  SocketOptions options;
  ASSIGN_OR_RETURN(options.address, section.Get("address", std::string()));
  ASSIGN_OR_RETURN(options.uid, section.Get("uid", uid_t{0}));
  ASSIGN_OR_RETURN(options.gid, section.Get("gid", gid_t{0}));
  return options;
}

absl::StatusOr<SocketOptions> DecodeMetrics(config::Section& section) {
  SocketOptions options;
  ASSIGN_OR_RETURN(options.address, section.Get("address", std::string()));
  return options;
}

absl::StatusOr<std::string> DecodeTcp(config::Section& section) {
  ASSIGN_OR_RETURN(std::string address, section.Get("address", std::string()));
  for (const char* key : {"tls_ca", "tls_cert", "tls_key", "tls_common_name"}) {
    RETURN_IF_ERROR(section.Get(key, std::string()).status());
  }
  for (const char* key : {"max_recv_message_size", "max_send_message_size"}) {
    RETURN_IF_ERROR(section.Get(key, 16 << 20).status());
  }
  return address;
}

// An HTTP server that is skipped without an address.
ServerOr OpenHttp(plugin::InitContext& init, SocketOptions options, HttpHandler handler) {
  if (options.address.empty()) return plugin::Skip("no address is set");
  init.meta().exports["address"] = options.address;
  return std::make_unique<HttpServer>(std::move(options), std::move(handler));
}

ServerOr OpenGrpc(plugin::InitContext& init) {
  ASSIGN_OR_RETURN(GrpcOptions options, DecodeGrpc(init.config()));
  std::vector<rpc::Service*> services;
  for (const auto& [id, service] : init.All(rpc::kService)) services.push_back(service);
  const auto calls = init.Get(kCallTable);  // may be disabled
  init.meta().exports["address"] = options.socket.address;
  return std::make_unique<GrpcServer>(std::move(options), std::move(services),
                                      calls.ok() ? *calls : nullptr);
}

}  // namespace

plugin::Registration CallTablePlugin(metrics::Registry& registry) {
  return plugin::Provide(
      kCallTable,
      plugin::Spec<CallTable>{
          .id = "grpc-prometheus",
          .configure = [](config::Section& section) { return DecodeHistogram(section).status(); },
          .init =
              [&registry](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<CallTable>> {
            ASSIGN_OR_RETURN(const bool histogram, DecodeHistogram(init.config()));
            return std::make_unique<PublishedCallTable>(histogram, registry);
          }});
}

plugin::Registration GrpcPlugin() {
  return plugin::Provide(
      kServer,
      plugin::Spec<Server>{
          .id = "grpc",
          .needs = {rpc::kService.uri, kCallTable.uri},
          .configure = [](config::Section& section) { return DecodeGrpc(section).status(); },
          .init = OpenGrpc});
}

plugin::Registration GrpcTcpPlugin() {
  return plugin::Provide(
      kServer,
      plugin::Spec<Server>{
          .id = "grpc-tcp",
          .configure = [](config::Section& section) { return DecodeTcp(section).status(); },
          .init = [](plugin::InitContext& init) -> ServerOr {
            ASSIGN_OR_RETURN(const std::string address, DecodeTcp(init.config()));
            if (address.empty()) return plugin::Skip("no address is set");
            return Unimplemented("listen on {}: no service is served over TCP", address);
          }});
}

plugin::Registration TtrpcPlugin(const SocketOptions& grpc) {
  return plugin::Provide(
      kServer,
      plugin::Spec<Server>{
          .id = "ttrpc",
          .needs = {events::kExchange.uri},
          .configure =
              [grpc](config::Section& section) { return DecodeTtrpc(section, grpc).status(); },
          .init = [grpc](plugin::InitContext& init) -> ServerOr {
            ASSIGN_OR_RETURN(SocketOptions options, DecodeTtrpc(init.config(), grpc));
            ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
            init.meta().exports["address"] = options.address;
            return std::make_unique<TtrpcServer>(std::move(options), *exchange);
          }});
}

plugin::Registration MetricsPlugin(const metrics::Registry& registry) {
  return plugin::Provide(
      kServer,
      plugin::Spec<Server>{
          .id = "metrics",
          .configure = [](config::Section& section) { return DecodeMetrics(section).status(); },
          .init = [&registry](plugin::InitContext& init) -> ServerOr {
            ASSIGN_OR_RETURN(SocketOptions options, DecodeMetrics(init.config()));
            return OpenHttp(init, std::move(options), MetricsPages(registry));
          }});
}

plugin::Registration DebugPlugin(DebugSources sources) {
  return plugin::Provide(
      kServer,
      plugin::Spec<Server>{
          .id = "debug",
          .configure = [](config::Section& section) { return DecodeDebug(section).status(); },
          .init = [sources = std::move(sources)](plugin::InitContext& init) -> ServerOr {
            ASSIGN_OR_RETURN(SocketOptions options, DecodeDebug(init.config()));
            return OpenHttp(init, std::move(options), DebugPages(sources));
          }});
}

}  // namespace gantry::server
