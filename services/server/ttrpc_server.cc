// SPDX-License-Identifier: Apache-2.0
#include "services/server/ttrpc_server.h"

#include <unistd.h>

#include "core/base/status.h"
#include "core/log/log.h"
#include "proto/services/ttrpc/events/v1/events.pb.h"

namespace gantry::server {
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

absl::StatusOr<SocketOptions> DecodeTtrpc(config::Section& section, const SocketOptions& grpc) {
  SocketOptions options;
  ASSIGN_OR_RETURN(options.address, section.Get("address", grpc.address + ".ttrpc"));
  ASSIGN_OR_RETURN(options.uid, section.Get("uid", uid_t{0}));
  ASSIGN_OR_RETURN(options.gid, section.Get("gid", gid_t{0}));
  if (options.address.empty()) options.address = grpc.address + ".ttrpc";
  if (options.uid == 0) options.uid = grpc.uid;
  if (options.gid == 0) options.gid = grpc.gid;
  return options;
}

absl::Status TtrpcServer::Start() {
  RETURN_IF_ERROR(PrepareSocket(options_));
  ASSIGN_OR_RETURN(loop_, ttrpc::Loop::Start("ttrpc-server"));
  ttrpc::Services services;
  services[kEventsService].emplace(
      "Forward", [this](const ttrpc::ServerCall&, const std::string& payload,
                        ttrpc::Responder respond) { respond(Forward(exchange_, payload)); });
  ttrpc::ServerOptions options;
  options.owner = {options_.uid, options_.gid};
  // What shims announce is believed, so it must be they: like containerd, the user and group that
  // they inherited from us, whatever the socket's mode allows.
  options.admit = [uid = ::geteuid(), gid = ::getegid()](const ttrpc::Peer& peer) {
    return peer.uid == uid && peer.gid == gid;
  };
  ASSIGN_OR_RETURN(server_, ttrpc::Server::Listen(*loop_, options_.address, std::move(services),
                                                  std::move(options)));
  log::Info("serving ttrpc", {{"address", options_.address}});
  return absl::OkStatus();
}

void TtrpcServer::Stop(absl::Time) {
  server_.reset();
  loop_.reset();
}

}  // namespace gantry::server
