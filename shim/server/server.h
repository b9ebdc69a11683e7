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
#include "shim/server/caller.h"
#include "shim/server/connection.h"
#include "shim/server/listening_socket.h"

namespace gantry::shim {

struct ServerOptions {
  std::string ns;                           // of calls that name none
  size_t max_connections = 64;              // further ones are closed at once
  size_t max_calls = 12288;                 // of each connection; further ones: ResourceExhausted
  size_t max_output_bytes = 8UL << 20;      // of each connection; beyond it nothing is read there
  std::function<void()> on_change = [] {};  // connections() or calls() have changed
};

// Serves ttrpc on a unix socket, to peers with our uid and gid. Methods are unary, answer one
// request with a stream of messages, or exchange messages; a call of another kind gets a unary
// answer.
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
    services_[std::move(service)].methods = &methods;
  }
  void RegisterStreams(std::string service, const StreamMethods& streams) {
    services_[std::move(service)].streams = &streams;
  }
  void RegisterExchanges(std::string service, const ExchangeMethods& exchanges) {
    services_[std::move(service)].exchanges = &exchanges;
  }

  // Serves a connection that others have made, a unix socket that does not block, under the same
  // conditions as those that are accepted.
  void Adopt(kernel::UniqueFd connection);

  // No new connections, and the socket's name is free for a successor; those that are open stay.
  void StopListening();

  // When the last of those has connected who have called nothing: who only looks whether somebody
  // serves here, and who is about to call. Time::min() if there was none.
  Time LastLook();

  // Waits until no connection has output left; false at the deadline. The answer of a method is
  // output from the turn in which the method ends.
  Co<bool> Flush(Time deadline);

  size_t connections() const { return connections_.size(); }
  size_t calls() const { return calls_; }
  const std::string& path() const { return socket_.path(); }  // empty once it does not listen

 private:
  class Stream;
  struct Line {
    std::unique_ptr<Connection> connection;
    std::shared_ptr<Caller> caller;
    std::shared_ptr<Event> written;       // while somebody waits for that
    std::map<uint32_t, Stream*> streams;  // of the methods that run
    Time since = Clock::now();
    bool called = false;
  };
  struct Service {
    const Methods* methods = nullptr;
    const StreamMethods* streams = nullptr;
    const ExchangeMethods* exchanges = nullptr;
  };

  Server(Loop& loop, ListeningSocket socket, ServerOptions options);
  void AddConnection(kernel::UniqueFd socket);
  void EndConnection(uint64_t number);
  void Take(uint64_t connection, wire::ServerEvent event);
  void Begin(uint64_t connection, wire::ServerEvent event);
  void BeginExchange(const ExchangeMethod* method, uint64_t connection, wire::ServerEvent event);
  Co<void> Run(const Method* method, uint64_t connection, uint32_t stream, Call call);
  template <typename StreamingMethod>
  Co<void> RunStream(const StreamingMethod* method, uint64_t connection, uint32_t stream,
                     Call call);
  Line* Find(uint64_t connection);
  Stream* FindStream(uint64_t connection, uint32_t stream);
  void OnWritten(uint64_t connection);
  void Respond(uint64_t connection, uint32_t stream, Answer answer);
  Call MakeCall(wire::Request request, std::shared_ptr<Caller> caller) const;
  bool HasOutput() const;
  void TellFlushed();

  Loop& loop_;
  ListeningSocket socket_;
  const ServerOptions options_;
  std::map<std::string, Service, std::less<>> services_;
  std::map<uint64_t, Line> connections_;
  uint64_t next_connection_ = 1;
  size_t calls_ = 0;
  Time last_look_ = Time::min();  // of those that have left
  std::vector<Event*> flushes_;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace gantry::shim
