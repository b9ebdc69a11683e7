// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/ttrpc/loop.h"
#include "core/wire/ttrpc_envelope.h"

namespace gantry::ttrpc {

// Who is at the other end: SO_PEERCRED.
struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct ServerCall {
  wire::Metadata metadata;
  absl::Time deadline = absl::InfiniteFuture();
  Peer peer;
};

// Answers one call, from any thread, at most once; an answer after the connection or the server has
// gone is dropped. A responder that dies without an answer gives Internal.
class Responder {
 public:
  using Send = absl::AnyInvocable<void(absl::StatusOr<std::string> payload)>;

  explicit Responder(Send send) : send_(std::move(send)) {}
  Responder(Responder&& other) noexcept : send_(std::exchange(other.send_, nullptr)) {}
  Responder& operator=(Responder&&) = delete;
  ~Responder() {
    if (send_) send_(absl::InternalError("the call was dropped"));
  }

  // `payload` is an encoded message.
  void operator()(absl::StatusOr<std::string> payload) {
    if (auto send = std::exchange(send_, nullptr)) send(std::move(payload));
  }

 private:
  Send send_;
};

// Starts a call; runs on the loop's thread and must not block.
using Handler =
    absl::AnyInvocable<void(const ServerCall& call, std::string payload, Responder respond)>;
// By full service name, then method name.
using Services = std::map<std::string, std::map<std::string, Handler>, std::less<>>;

struct ServerOptions {
  unsigned mode = 0660;                          // of the socket
  std::optional<std::pair<uid_t, gid_t>> owner;  // of the socket; absent: ours
  size_t max_connections = 1024;                 // one more is closed at once
  size_t max_open_calls = 256;          // of a connection; one more ends in ResourceExhausted
  size_t max_output_bytes = 8UL << 20;  // over it, a connection is not read from
  // Who may connect; others are closed without a word. Absent: the socket's mode decides alone.
  absl::AnyInvocable<bool(const Peer& peer)> admit;
};

// Serves unary methods on a unix socket.
//
// Unknown services and methods end in Unimplemented. A connection whose answers nobody reads is
// closed once eight times max_output_bytes wait.
// Threads: any. Lifetime: the loop outlives the server. No handler runs after the destructor, which
// is not to be called from one.
class Server {
 public:
  static absl::StatusOr<std::unique_ptr<Server>> Listen(Loop& loop, const std::string& path,
                                                        Services services,
                                                        ServerOptions options = {});
  // Closes all connections and removes the socket.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  class Core;
  explicit Server(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  const std::shared_ptr<Core> core_;
};

}  // namespace gantry::ttrpc
