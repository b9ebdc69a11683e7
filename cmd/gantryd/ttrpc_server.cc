// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/ttrpc_server.h"

#include <utility>

#include "core/log/log.h"
#include "proto/services/ttrpc/events/v1/events.pb.h"

namespace gantry {
namespace {

namespace pb = ::containerd::services::events::ttrpc::v1;

// The service's name on the wire.
constexpr const char* kEventsService = "containerd.services.events.ttrpc.v1.Events";

absl::StatusOr<std::string> Forward(events::Exchange& exchange, const std::string& payload) {
  pb::ForwardRequest request;
  if (!request.ParseFromString(payload)) return InvalidArgument("request does not parse");
  if (!request.has_envelope()) return InvalidArgument("envelope is missing in the request");
  RETURN_IF_ERROR(exchange.Forward(std::move(*request.mutable_envelope())));
  return std::string();  // An Empty message.
}

}  // namespace

absl::StatusOr<std::unique_ptr<TtrpcServer>> TtrpcServer::Start(const TtrpcServerOptions& options,
                                                                events::Exchange& exchange) {
  ASSIGN_OR_RETURN(std::unique_ptr<ttrpc::Loop> loop, ttrpc::Loop::Start("ttrpc-server"));
  ttrpc::Services services;
  services[kEventsService].emplace(
      "Forward", [&exchange](const ttrpc::ServerCall&, std::string payload,
                             ttrpc::Responder respond) { respond(Forward(exchange, payload)); });
  ttrpc::ServerOptions server_options;
  server_options.owner = {options.uid, options.gid};
  ASSIGN_OR_RETURN(std::unique_ptr<ttrpc::Server> server,
                   ttrpc::Server::Listen(*loop, options.address, std::move(services),
                                         std::move(server_options)));
  log::Info("serving", {{"address", options.address}});
  return std::unique_ptr<TtrpcServer>(new TtrpcServer(std::move(loop), std::move(server)));
}

}  // namespace gantry
