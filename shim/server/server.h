// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/kernel/result.h"
#include "core/wire/server_connection.h"
#include "core/wire/ttrpc_envelope.h"
#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/loop/loop.h"
#include "shim/server/acceptor.h"
#include "shim/server/call.h"
#include "shim/server/connection.h"
#include "shim/server/listening_socket.h"

namespace gantry::shim {

struct ServerOptions {
  std::string ns;                           // of calls that name none
  size_t max_connections = 64;              // further ones are closed at once
  size_t max_calls = 1024;                  // of each connection; further ones: ResourceExhausted
  size_t max_output_bytes = 8UL << 20;      // of each connection; beyond it nothing is read there
  std::function<void()> on_change = [] {};  // connections() or calls() have changed
};

// Serves ttrpc on a unix socket, to peers with our uid and gid. Unary methods alone: a call of
// another kind gets a unary answer.
//
// A method runs to its end though its caller has gone; its answer is dropped then.
//
// Threads: one. Destroy it when no call runs.
class Server {
 public:
  static kernel::Result<std::unique_ptr<Server>> Create(Loop& loop, ListeningSocket socket,
                                                        ServerOptions options);
  Server(const Server&) = delete;

  // `methods` is borrowed, and may be registered under several full service names.
  void Register(std::string service, const Methods& methods) {
    services_[std::move(service)] = &methods;
  }

  // No new connections, and the socket's name is free for a successor; those that are open stay.
  void StopListening();

  // Waits until no connection has output left; false at the deadline. The answer of a method is
  // output from the turn in which the method ends.
  Co<bool> Flush(Time deadline);

  size_t connections() const { return connections_.size(); }
  size_t calls() const { return calls_; }
  const std::string& path() const { return socket_.path(); }  // empty once it does not listen

 private:
  Server(Loop& loop, ListeningSocket socket, ServerOptions options);
  void AddConnection(kernel::UniqueFd socket);
  void EndConnection(uint64_t number);
  void Begin(uint64_t connection, wire::ServerEvent event);
  Co<void> Run(const Method* method, uint64_t connection, uint32_t stream, Call call);
  void Respond(uint64_t connection, uint32_t stream, Answer answer);
  Call MakeCall(wire::Request request) const;
  bool HasOutput() const;
  void TellFlushed();

  Loop& loop_;
  ListeningSocket socket_;
  const ServerOptions options_;
  std::map<std::string, const Methods*, std::less<>> services_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  uint64_t next_connection_ = 1;
  size_t calls_ = 0;
  std::vector<Event*> flushes_;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace gantry::shim
