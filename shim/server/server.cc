// SPDX-License-Identifier: Apache-2.0
#include "shim/server/server.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <variant>

namespace gantry::shim {
namespace {

constexpr char kNamespaceKey[] = "containerd-namespace-ttrpc";

Time DeadlineOf(int64_t timeout_nano) {
  if (timeout_nano == 0) return kNever;
  const Time now = Clock::now();
  if (timeout_nano < 0) return now;
  const std::chrono::nanoseconds timeout(timeout_nano);
  return kNever - now <= timeout ? kNever : now + timeout;
}

wire::Response ToResponse(Answer answer) {
  wire::Response response;
  if (auto* payload = std::get_if<std::string>(&answer)) response.payload = std::move(*payload);
  if (auto* status = std::get_if<wire::RpcStatus>(&answer)) response.status = std::move(*status);
  return response;
}

// Go peers know the missing service by this text, without a class text.
wire::RpcStatus Unimplemented(std::string_view kind, const std::string& name) {
  return {.code = wire::RpcCode::kUnimplemented,
          .message = std::string(kind) + " " + name,
          .details = {}};
}

}  // namespace

kernel::Result<std::unique_ptr<Server>> Server::Create(Loop& loop, ListeningSocket socket,
                                                       ServerOptions options) {
  std::unique_ptr<Server> server(new Server(loop, std::move(socket), std::move(options)));
  if (auto started = server->acceptor_->Start(); !started) return started.error();
  return server;
}

Server::Server(Loop& loop, ListeningSocket socket, ServerOptions options)
    : loop_(loop),
      socket_(std::move(socket)),
      options_(std::move(options)),
      acceptor_(std::make_unique<Acceptor>(loop, socket_.fd(), [this](kernel::UniqueFd connection) {
        AddConnection(std::move(connection));
      })) {}

void Server::StopListening() {
  acceptor_.reset();
  socket_.Close();
}

void Server::AddConnection(kernel::UniqueFd socket) {
  if (connections_.size() >= options_.max_connections) return;
  const uint64_t number = next_connection_++;
  Connection::Callbacks callbacks{
      .request = [this, number](wire::ServerEvent event) { Begin(number, std::move(event)); },
      .written = [this] { TellFlushed(); },
      .closed = [this, number] { EndConnection(number); }};
  const auto added = connections_.emplace(
      number,
      std::make_unique<Connection>(
          loop_, std::move(socket),
          Connection::Limits{options_.max_calls, options_.max_output_bytes}, std::move(callbacks)));
  added.first->second->Start();
  options_.on_change();
}

void Server::EndConnection(uint64_t number) {
  connections_.erase(number);
  TellFlushed();
  options_.on_change();
}

void Server::Begin(uint64_t connection, wire::ServerEvent event) {
  wire::Request& request = event.request;
  const auto service = services_.find(request.service);
  if (service == services_.end()) {
    return Respond(connection, event.stream, Unimplemented("service", request.service));
  }
  const auto method = service->second->find(request.method);
  if (method == service->second->end()) {
    return Respond(connection, event.stream, Unimplemented("method", request.method));
  }
  ++calls_;
  Start(Run(&method->second, connection, event.stream, MakeCall(std::move(request))));
}

Call Server::MakeCall(wire::Request request) const {
  const auto ns = wire::FindMetadata(request.metadata, kNamespaceKey);
  Call call;
  call.ns = ns && !ns->empty() ? std::string(*ns) : options_.ns;
  call.deadline = DeadlineOf(request.timeout_nano);
  call.metadata = std::move(request.metadata);
  call.payload = std::move(request.payload);
  return call;
}

Co<void> Server::Run(const Method* method, uint64_t connection, uint32_t stream, Call call) {
  Answer answer = co_await (*method)(std::move(call));
  --calls_;
  Respond(connection, stream, std::move(answer));
  options_.on_change();
}

void Server::Respond(uint64_t connection, uint32_t stream, Answer answer) {
  const auto found = connections_.find(connection);
  if (found != connections_.end()) found->second->Respond(stream, ToResponse(std::move(answer)));
}

bool Server::HasOutput() const {
  return std::any_of(connections_.begin(), connections_.end(),
                     [](const auto& connection) { return connection.second->output_bytes() > 0; });
}

void Server::TellFlushed() {
  if (flushes_.empty() || HasOutput()) return;
  for (Event* flush : std::exchange(flushes_, {})) flush->Set();
}

Co<bool> Server::Flush(Time deadline) {
  if (!HasOutput()) co_return true;
  Event flushed(loop_);
  flushes_.push_back(&flushed);
  const bool done = co_await flushed.Wait(deadline);
  std::erase(flushes_, &flushed);
  co_return done;
}

}  // namespace gantry::shim
