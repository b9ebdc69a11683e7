// SPDX-License-Identifier: Apache-2.0
#include "core/ttrpc/server_session.h"

#include <utility>

#include "core/base/status.h"
#include "core/ttrpc/rpc_status.h"

namespace gantry::ttrpc {
namespace {

// Past this many times the limit a connection is given up: its calls were accepted, but the peer
// does not take the answers.
constexpr size_t kHopelessFactor = 8;

}  // namespace

ServerSession::ServerSession(Loop& loop, const Peer& peer, Services& services,
                             const ServerOptions& options, absl::AnyInvocable<void()> on_lost)
    : loop_(loop),
      peer_(peer),
      services_(services),
      max_output_bytes_(options.max_output_bytes),
      on_lost_(std::move(on_lost)),
      wire_(options.max_open_calls),
      channel_(loop, *this, wire_.output(), options.max_output_bytes) {}

void ServerSession::OnBytes(std::string_view bytes) {
  wire_.Feed(bytes);
  while (channel_.open()) {
    auto event = wire_.Next();
    if (!event) break;
    if (event->kind == wire::ServerEvent::Kind::kRequest) {
      if (event->mode == wire::ServerEvent::Mode::kClientStream) {
        Answer(event->stream, Unimplemented("method {} takes no stream", event->request.method));
      } else {
        Handle(event->stream, std::move(event->request));
      }
    }
  }
  if (wire_.broken()) {
    Close();
    on_lost_();
    return;
  }
  channel_.Flush();
}

Handler* ServerSession::FindHandler(const wire::Request& request, absl::Status& status) {
  const auto service = services_.find(request.service);
  if (service == services_.end()) {
    status = Unimplemented("service {}", request.service);
    return nullptr;
  }
  const auto method = service->second.find(request.method);
  if (method == service->second.end()) {
    status = Unimplemented("method {}", request.method);
    return nullptr;
  }
  return &method->second;
}

void ServerSession::Handle(uint32_t stream, wire::Request request) {
  absl::Status status;
  Handler* handler = FindHandler(request, status);
  if (handler == nullptr) return Answer(stream, status);
  ServerCall call{.metadata = std::move(request.metadata), .peer = peer_};
  if (request.timeout_nano != 0) {
    call.deadline = absl::Now() + absl::Nanoseconds(request.timeout_nano);
  }
  (*handler)(call, std::move(request.payload), MakeResponder(stream));
}

Responder ServerSession::MakeResponder(uint32_t stream) {
  return Responder([weak = weak_from_this(), mailbox = loop_.mailbox(),
                    stream](absl::StatusOr<std::string> payload) {
    mailbox->Post([weak, stream, payload = std::move(payload)] {
      if (const auto self = weak.lock()) self->Answer(stream, payload);
    });
  });
}

void ServerSession::Answer(uint32_t stream, const absl::StatusOr<std::string>& payload) {
  if (!channel_.open()) return;
  wire::Response response;
  if (payload.ok()) {
    response.payload = *payload;
  } else {
    response.status = ToWire(payload.status());
  }
  wire_.Respond(stream, response);
  channel_.Flush();
  if (channel_.open() && wire_.output().size() > kHopelessFactor * max_output_bytes_) {
    Close();
    on_lost_();
  }
}

}  // namespace gantry::ttrpc
