// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/ttrpc/client.h"
#include "core/ttrpc/loop.h"

namespace gantry::gctr {

// Where a shim listens, and which generation of the task service it serves.
struct ShimEndpoint {
  std::string address;
  int version = 3;
};

// The endpoint that the bundle of container `id` names. Bundles lie beside the daemon's socket,
// which is `daemon_address`.
//
// Errors: InvalidArgument for an id or namespace that is no name; NotFound without such a bundle;
// Unimplemented for a shim that does not speak ttrpc.
absl::StatusOr<ShimEndpoint> FindShim(const std::string& daemon_address, const std::string& ns,
                                      const std::string& id);

// Calls to one shim, past the daemon.
//
// Threads: all; calls wait.
class ShimClient {
 public:
  // NotFound or Unavailable where nobody listens. `deadline` is that of all calls that have no
  // other.
  static absl::StatusOr<ShimClient> Connect(const ShimEndpoint& endpoint, std::string ns,
                                            absl::Time deadline);

  template <typename Response>
  absl::StatusOr<Response> Call(const std::string& method,
                                const google::protobuf::Message& request) {
    return Call<Response>(method, request, deadline_);
  }
  // With a deadline of its own.
  template <typename Response>
  absl::StatusOr<Response> Call(const std::string& method, const google::protobuf::Message& request,
                                absl::Time deadline) {
    absl::StatusOr<std::string> payload = Invoke(method, request.SerializeAsString(), deadline);
    if (!payload.ok()) return payload.status();
    Response response;
    if (!response.ParseFromString(*payload)) {
      return absl::InternalError(method + ": the shim's answer does not parse");
    }
    return response;
  }

 private:
  ShimClient(std::unique_ptr<ttrpc::Loop> loop, std::unique_ptr<ttrpc::Client> client,
             std::string service, std::string ns, absl::Time deadline)
      : loop_(std::move(loop)),
        client_(std::move(client)),
        service_(std::move(service)),
        ns_(std::move(ns)),
        deadline_(deadline) {}
  absl::StatusOr<std::string> Invoke(const std::string& method, std::string payload,
                                     absl::Time deadline);

  std::unique_ptr<ttrpc::Loop> loop_;  // outlives the client
  std::unique_ptr<ttrpc::Client> client_;
  std::string service_;
  std::string ns_;
  absl::Time deadline_;
};

}  // namespace gantry::gctr
