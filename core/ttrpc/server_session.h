// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/ttrpc/channel.h"
#include "core/ttrpc/server.h"
#include "core/wire/server_connection.h"

namespace gantry::ttrpc {

// One connection of a Server, in the loop. Kept by the server; responders hold it weakly.
class ServerSession final : public Channel::Owner,
                            public std::enable_shared_from_this<ServerSession> {
 public:
  // `services` outlives the session; `on_lost` tells the server to let go of it.
  ServerSession(Loop& loop, const Peer& peer, Services& services, const ServerOptions& options,
                absl::AnyInvocable<void()> on_lost);

  absl::Status Open(kernel::UniqueFd socket) { return channel_.Open(std::move(socket)); }
  void Close() { channel_.Close(); }

 private:
  std::shared_ptr<const void> KeepAlive() const override { return shared_from_this(); }
  void OnBytes(std::string_view bytes) override;
  void OnLost() override { on_lost_(); }

  void Handle(uint32_t stream, wire::Request request);
  Handler* FindHandler(const wire::Request& request, absl::Status& status);
  Responder MakeResponder(uint32_t stream);
  void Answer(uint32_t stream, const absl::StatusOr<std::string>& payload);

  Loop& loop_;
  const Peer peer_;
  Services& services_;
  const size_t max_output_bytes_;
  absl::AnyInvocable<void()> on_lost_;
  wire::ServerConnection wire_;
  Channel channel_;
};

}  // namespace gantry::ttrpc
