// SPDX-License-Identifier: Apache-2.0
#include "shim/server/server.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <variant>

#include "shim/server/peer.h"

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

class Server::Stream : public Exchange {
 public:
  Stream(Server& server, uint64_t connection, uint32_t stream)
      : server_(server), connection_(connection), stream_(stream) {
    if (Line* line = server_.Find(connection_)) line->streams.emplace(stream_, this);
  }
  ~Stream() override {
    if (Line* line = server_.Find(connection_)) line->streams.erase(stream_);
  }

  bool Send(std::string_view message) override {
    Line* line = server_.Find(connection_);
    return line != nullptr && line->connection->Send(stream_, message);
  }

  Co<void> Written() override {
    Line* line = server_.Find(connection_);
    if (line == nullptr || line->connection->output_bytes() == 0) co_return;
    if (!line->written) line->written = std::make_shared<Event>(server_.loop_);
    const std::shared_ptr<Event> written = line->written;
    co_await written->Wait();
  }

  void Receive(ExchangeReceiver& receiver) override { receiver_ = &receiver; }

  bool Waits() override {
    Line* line = server_.Find(connection_);
    awaits_written_ = line != nullptr && line->connection->output_bytes() > 0;
    return awaits_written_;
  }

  void Take(const wire::ServerEvent& event) {
    if (receiver_ == nullptr) return;
    switch (event.kind) {
      case wire::ServerEvent::Kind::kMessage:
        return receiver_->Message(event.message);
      case wire::ServerEvent::Kind::kHalfClose:
        return receiver_->HalfClosed();
      case wire::ServerEvent::Kind::kCancelled:
        return Leave();
      case wire::ServerEvent::Kind::kRequest:
        return;
    }
  }

  void Leave() {
    if (ExchangeReceiver* receiver = std::exchange(receiver_, nullptr)) receiver->Left();
  }
  void MethodEnded() { receiver_ = nullptr; }

  bool awaits_written() const { return awaits_written_; }
  void TellWritten() {
    if (std::exchange(awaits_written_, false) && receiver_ != nullptr) receiver_->Written();
  }

 private:
  Server& server_;
  const uint64_t connection_;
  const uint32_t stream_;
  ExchangeReceiver* receiver_ = nullptr;
  bool awaits_written_ = false;
};

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

void Server::Adopt(kernel::UniqueFd connection) {
  if (IsOneOfUs(connection.get())) AddConnection(std::move(connection));
}

void Server::StopListening() {
  acceptor_.reset();
  socket_.Close();
}

Time Server::LastLook() {
  if (acceptor_) acceptor_->AcceptWaiting();
  Time last = last_look_;
  for (const auto& [number, line] : connections_) {
    if (!line.called) last = std::max(last, line.since);
  }
  return last;
}

void Server::AddConnection(kernel::UniqueFd socket) {
  if (connections_.size() >= options_.max_connections) return;
  const uint64_t number = next_connection_++;
  Connection::Callbacks callbacks{
      .event = [this, number](wire::ServerEvent event) { Take(number, std::move(event)); },
      .written = [this, number] { OnWritten(number); },
      .closed = [this, number] { EndConnection(number); }};
  auto connection = std::make_unique<Connection>(
      loop_, std::move(socket), Connection::Limits{options_.max_calls, options_.max_output_bytes},
      std::move(callbacks));
  const auto added = connections_.emplace(
      number, Line{.connection = std::move(connection), .caller = std::make_shared<Caller>()});
  added.first->second.connection->Start();
  options_.on_change();
}

void Server::EndConnection(uint64_t number) {
  const auto ended = connections_.extract(number);
  const Line& line = ended.mapped();
  if (!line.called) last_look_ = std::max(last_look_, line.since);
  if (line.written) line.written->Set();
  line.caller->Leave();
  for (const auto& [id, stream] : line.streams) stream->Leave();
  TellFlushed();
  options_.on_change();
}

void Server::Take(uint64_t connection, wire::ServerEvent event) {
  if (event.kind == wire::ServerEvent::Kind::kRequest) return Begin(connection, std::move(event));
  // A unary method does not look at what else comes.
  if (Stream* stream = FindStream(connection, event.stream)) stream->Take(event);
}

void Server::Begin(uint64_t connection, wire::ServerEvent event) {
  wire::Request& request = event.request;
  Line& line = *Find(connection);
  line.called = true;
  const auto service = services_.find(request.service);
  if (service == services_.end()) {
    return Respond(connection, event.stream, Unimplemented("service", request.service));
  }
  const auto [methods, streams, exchanges] = service->second;
  const std::string name = request.method;
  const std::shared_ptr<Caller> caller = line.caller;
  if (methods != nullptr && methods->contains(name)) {
    ++calls_;
    return Start(Run(&methods->find(name)->second, connection, event.stream,
                     MakeCall(std::move(request), caller)));
  }
  if (streams != nullptr && streams->contains(name) &&
      event.mode == wire::ServerEvent::Mode::kServerStream) {
    ++calls_;
    return Start(RunStream(&streams->find(name)->second, connection, event.stream,
                           MakeCall(std::move(request), caller)));
  }
  if (exchanges != nullptr && exchanges->contains(name) &&
      event.mode == wire::ServerEvent::Mode::kClientStream) {
    return BeginExchange(&exchanges->find(name)->second, connection, std::move(event));
  }
  Respond(connection, event.stream, Unimplemented("method", name));
}

void Server::BeginExchange(const ExchangeMethod* method, uint64_t connection,
                           wire::ServerEvent event) {
  ++calls_;
  // What comes with the request is the first of the messages.
  const std::string first = std::exchange(event.request.payload, {});
  const std::shared_ptr<Caller> caller = Find(connection)->caller;
  Start(RunStream(method, connection, event.stream, MakeCall(std::move(event.request), caller)));
  if (first.empty()) return;
  Take(connection, {.kind = wire::ServerEvent::Kind::kMessage,
                    .stream = event.stream,
                    .request = {},
                    .message = first});
}

Call Server::MakeCall(wire::Request request, std::shared_ptr<Caller> caller) const {
  const auto ns = wire::FindMetadata(request.metadata, kNamespaceKey);
  Call call;
  call.ns = ns && !ns->empty() ? std::string(*ns) : options_.ns;
  call.deadline = DeadlineOf(request.timeout_nano);
  call.metadata = std::move(request.metadata);
  call.payload = std::move(request.payload);
  call.caller = std::move(caller);
  return call;
}

Co<void> Server::Run(const Method* method, uint64_t connection, uint32_t stream, Call call) {
  Answer answer = co_await (*method)(std::move(call));
  --calls_;
  Respond(connection, stream, std::move(answer));
  options_.on_change();
}

template <typename StreamingMethod>
Co<void> Server::RunStream(const StreamingMethod* method, uint64_t connection, uint32_t stream,
                           Call call) {
  Stream messages(*this, connection, stream);
  wire::RpcStatus status = co_await (*method)(std::move(call), messages);
  messages.MethodEnded();
  --calls_;
  if (!status.ok()) {
    Respond(connection, stream, std::move(status));
  } else if (Line* line = Find(connection)) {
    line->connection->End(stream);
  }
  options_.on_change();
}

Server::Line* Server::Find(uint64_t connection) {
  const auto found = connections_.find(connection);
  return found == connections_.end() ? nullptr : &found->second;
}

Server::Stream* Server::FindStream(uint64_t connection, uint32_t stream) {
  const Line* line = Find(connection);
  if (line == nullptr) return nullptr;
  const auto found = line->streams.find(stream);
  return found == line->streams.end() ? nullptr : found->second;
}

void Server::OnWritten(uint64_t connection) {
  Line* line = Find(connection);
  if (line != nullptr && line->written) {
    line->written->Set();
    line->written.reset();
  }
  if (line != nullptr) {
    for (const auto& [id, stream] : line->streams) {
      if (!stream->awaits_written()) continue;
      // In the turn after: who is told may send, and the connection is not done with this.
      loop_.Post([this, connection, stream_id = id] {
        if (Stream* found = FindStream(connection, stream_id)) found->TellWritten();
      });
    }
  }
  TellFlushed();
}

void Server::Respond(uint64_t connection, uint32_t stream, Answer answer) {
  if (Line* line = Find(connection))
    line->connection->Respond(stream, ToResponse(std::move(answer)));
}

bool Server::HasOutput() const {
  return std::any_of(connections_.begin(), connections_.end(), [](const auto& connection) {
    return connection.second.connection->output_bytes() > 0;
  });
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
