// SPDX-License-Identifier: Apache-2.0
// The connection to a daemon, and calls over it.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace gantry::gctr {

struct ClientOptions {
  std::string address;  // a socket's path, perhaps with "unix://" in front
  std::string ns;       // containerd namespace of all calls
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration timeout = absl::InfiniteDuration();  // for all calls together
};

// A status that came from the daemon: same code, message unchanged.
absl::Status FromGrpc(const grpc::Status& status);

// Threads: a client is used by one thread at a time; calls may be under way on several.
class Client {
 public:
  // Waits until the daemon answers. NotFound when there is no socket, Unavailable when nobody
  // answers in time.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const ClientOptions& options);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const std::string& ns() const { return ns_; }

  // What calls make belongs to this lease until another is set; empty for none.
  void set_lease(std::string lease) { lease_ = std::move(lease); }
  const std::string& lease() const { return lease_; }

  // Gives a call its namespace, lease and deadline.
  void Prepare(grpc::ClientContext& call) const;

 private:
  Client(std::shared_ptr<grpc::Channel> channel, std::string ns, absl::Time deadline)
      : channel_(std::move(channel)), ns_(std::move(ns)), deadline_(deadline) {}

  std::shared_ptr<grpc::Channel> channel_;
  std::string ns_;
  std::string lease_;
  absl::Time deadline_;
};

// Calls of one service: Service<images::Images>(client).Call(&images::Images::Stub::Get, request).
template <typename Definition>
class Service {
 public:
  using Stub = typename Definition::Stub;

  explicit Service(const Client& client)  // which outlives the service
      : client_(client), stub_(Definition::NewStub(client.channel())) {}

  Stub& stub() { return *stub_; }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    grpc::ClientContext call;
    client_.Prepare(call);
    Response response;
    const grpc::Status status = ((*stub_).*method)(&call, request, &response);
    if (!status.ok()) return FromGrpc(status);
    return response;
  }

  // Hands each message of a stream to `visit`, which may stop it with an error.
  template <typename Request, typename Response, typename Visitor>
  absl::Status ForEach(std::unique_ptr<grpc::ClientReader<Response>> (Stub::*method)(
                           grpc::ClientContext*, const Request&),
                       const Request& request, Visitor visit) {
    grpc::ClientContext call;
    client_.Prepare(call);
    const std::unique_ptr<grpc::ClientReader<Response>> stream = ((*stub_).*method)(&call, request);
    absl::Status visited;
    Response message;
    while (visited.ok() && stream->Read(&message)) visited = visit(message);
    if (!visited.ok()) call.TryCancel();
    const grpc::Status status = stream->Finish();
    return visited.ok() ? FromGrpc(status) : visited;
  }

 private:
  const Client& client_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace gantry::gctr
