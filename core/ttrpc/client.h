// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/kernel/unique_fd.h"
#include "core/ttrpc/loop.h"
#include "core/wire/ttrpc_envelope.h"

namespace gantry::ttrpc {

// The metadata key of the containerd namespace on ttrpc.
inline constexpr char kNamespaceKey[] = "containerd-namespace-ttrpc";

struct CallOptions {
  std::string service;  // full protobuf name
  std::string method;
  wire::Metadata metadata;
  // When the answer is late. To be set: a call without it is late at once. InfiniteFuture is for
  // what waits for a container alone.
  absl::Time deadline = absl::InfinitePast();
  std::stop_token stop;  // the caller went away
};

struct ClientOptions {
  size_t max_in_flight = 256;           // calls; one more ends in ResourceExhausted
  size_t max_output_bytes = 8UL << 20;  // waiting to be written; over it: the same
  // Called once, after every call has ended, when the peer is lost and when the client is closed.
  absl::AnyInvocable<void()> on_disconnect;
};

// The client's end of a ttrpc connection.
//
// A call ends exactly once, and always in a callback on the loop's thread, never inside Call();
// callbacks must not block. It ends with the server's status (code and message kept), with
// DeadlineExceeded or Cancelled (the server is not told, ttrpc has no way), with ResourceExhausted
// for a limit of ours, or with ClosedError().
//
// Threads: any. Lifetime: the loop outlives the client. The destructor closes: calls under way and
// on_disconnect are called back before it returns; it may run in a callback of the client itself.
class Client {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::string> payload)>;

  // The connection may still be under way, and fail, when this returns. Errors: DialAddress().
  static absl::StatusOr<std::unique_ptr<Client>> Connect(Loop& loop, const std::string& address,
                                                         ClientOptions options = {});
  // The same over a connected socket.
  static absl::StatusOr<std::unique_ptr<Client>> Adopt(Loop& loop, kernel::UniqueFd socket,
                                                       ClientOptions options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `payload` is an encoded message, and so is the answer. Calls of one thread reach the server in
  // order; answers come in any.
  void Call(CallOptions options, std::string payload, Done done);

  // Call() for tests and the command line, where a thread may wait. Not from the loop.
  absl::StatusOr<std::string> CallAndWait(CallOptions options, std::string payload);

  // What the destructor does, sooner. Idempotent.
  void Close();

  // False once the peer is lost or the client closed.
  bool connected() const;

 private:
  class Core;
  explicit Client(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  const std::shared_ptr<Core> core_;
};

}  // namespace gantry::ttrpc
