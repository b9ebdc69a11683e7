// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/status.h"
#include "core/kernel/unique_fd.h"
#include "core/runtime/bootstrap.h"
#include "core/runtime/caller.h"
#include "core/ttrpc/client.h"
#include "core/ttrpc/rpc_status.h"

namespace gantry::runtime {

// One call to a shim.
struct ShimCall {
  std::string_view service;  // full name
  std::string_view method;
  std::string_view ns;
  std::string payload;
  absl::Time deadline = absl::InfiniteFuture();
  bool waits = false;  // answers when something happens, perhaps never
};

// The connection to one shim, shared by all tasks that it serves.
//
// How many calls may be under way is bounded here, so that a shim that does not answer takes from
// nobody else.
//
// Threads: all methods from any thread; `done` is called on the connection's own thread and must
//          not block. The loop outlives it.
class ShimConnection : public std::enable_shared_from_this<ShimConnection> {
 public:
  static constexpr size_t kMaxCalls = 2048;  // that are to be answered soon
  static constexpr size_t kMaxWaits = 8192;  // that wait for something to happen

  using OnLost = absl::AnyInvocable<void(const ShimConnection&)>;

  // Connects to `endpoint`; where nobody listens, that fails at once. `on_lost` is called once when
  // the connection breaks, unless it was closed before.
  //
  // Errors: Unimplemented for a protocol or transport that we do not speak; Unavailable or NotFound
  // when nobody listens.
  static absl::StatusOr<std::shared_ptr<ShimConnection>> Connect(ttrpc::Loop& loop,
                                                                 const Endpoint& endpoint,
                                                                 OnLost on_lost);

  // The same over a connection that was made already, from where the shim's socket is `endpoint`.
  static absl::StatusOr<std::shared_ptr<ShimConnection>> Adopt(ttrpc::Loop& loop,
                                                               const Endpoint& endpoint,
                                                               kernel::UniqueFd socket,
                                                               OnLost on_lost);

  // Errors: what the shim answered; DeadlineExceeded; ResourceExhausted when the bound is reached
  // or the request is too large; Unknown with a text that ends in "ttrpc: closed" when the
  // connection is gone.
  void Invoke(ShimCall call, Done<std::string> done);

  // Ends the connection from our side; calls under way fail as closed ones. Idempotent.
  void Close();

  // Whether the shim serves gantry.shim.v1.Fast: taken for granted until a call has shown that it
  // does not.
  bool serves_fast() const { return serves_fast_; }
  void SetFastMissing() { serves_fast_ = false; }

  bool closed() const { return !client_->connected(); }
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  ShimConnection(Endpoint endpoint, OnLost on_lost)
      : endpoint_(std::move(endpoint)), on_lost_(std::move(on_lost)) {}
  // What a connection's client is made with.
  static ttrpc::ClientOptions OptionsFor(const std::shared_ptr<ShimConnection>& connection);
  void OnDisconnect();

  const Endpoint endpoint_;
  OnLost on_lost_;
  std::atomic<bool> closing_ = false;
  std::atomic<bool> serves_fast_ = true;
  std::atomic<size_t> calls_ = 0;
  std::atomic<size_t> waits_ = 0;
  std::unique_ptr<ttrpc::Client> client_;  // set by Connect()
};

// Whether a call failed because the connection to the shim is gone.
inline bool IsClosed(const absl::Status& status) { return ttrpc::IsClosed(status); }

// Whether a call failed because the shim has no such service. Unimplemented; servers written in
// Rust call it an invalid argument.
bool LacksService(const absl::Status& status);

}  // namespace gantry::runtime
