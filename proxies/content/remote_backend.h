// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/time/time.h"
#include "core/content/content.h"
#include "proto/services/content/v1/content.grpc.pb.h"
#include "proxies/rpc/channel.h"

namespace gantry::proxies {

// Bytes that another process keeps and serves as containerd.services.content.v1. It names blobs by
// their digest and ingests by our refs ("<namespace>/1/<ref>"); which namespace may see what is
// recorded here.
//
// Threads: as Backend says. A call holds its thread until the other process answers or the budget
//          is over; so many at once, then Unavailable, so that a process that hangs cannot hold
//          every worker. The destructor cancels what is under way; readers and writers end before.
// Errors:  with the codes and messages of the other process; Unavailable while it cannot be
//          reached.
class RemoteBackend final : public content::Backend {
 public:
  using Stub = ::containerd::services::content::v1::Content::Stub;

  struct Options {
    absl::Duration budget = absl::Minutes(1);  // of one call, and of one message of a write
    int max_calls = 12;                        // under way at once; fewer than there are workers
  };

  // `address` is the path of a unix socket; `name` the plugin's, for messages.
  RemoteBackend(std::string name, const std::string& address, Options options);
  RemoteBackend(std::string name, const std::string& address)
      : RemoteBackend(std::move(name), address, Options()) {}
  ~RemoteBackend() override { closing_.request_stop(); }

  bool remote() const override { return true; }
  absl::StatusOr<std::optional<int64_t>> Size(const Context& ctx, const Digest& digest) override;
  absl::StatusOr<std::unique_ptr<content::BlobReader>> Open(const Context& ctx,
                                                            const Digest& digest) override;
  absl::Status Delete(const Context& ctx, const Digest& digest) override;
  absl::Status ForEachBlob(const Context& ctx,
                           absl::FunctionRef<absl::Status(const Digest&)> visit) override;
  // What the other process answers for is on its disk.
  absl::Status Sync(const Context&, const Digest&) override { return absl::OkStatus(); }
  absl::Status SyncDeletes(const Context&) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<content::BackendWriter>> OpenWriter(const Context& ctx,
                                                                     const std::string& ref,
                                                                     int64_t total) override;
  absl::StatusOr<std::optional<content::IngestStatus>> Status(const Context& ctx,
                                                              const std::string& ref) override;
  absl::Status Abort(const Context& ctx, const std::string& ref) override;
  absl::Status ForEachIngest(
      const Context& ctx, absl::FunctionRef<absl::Status(const std::string& ref)> visit) override;

  // For readers and writers. Runs `body(stub, call)` with what makes it part of `ctx`.
  template <typename Body>
  absl::Status Call(const Context& ctx, Body body) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const Place place, TakePlace());
    grpc::ClientContext call;
    const CallScope scope(call, ctx, options_.budget, closing_.get_token());
    return FromGrpc(body(*stub_, call));
  }

  // One of the calls that may be under way.
  using Place = std::shared_ptr<void>;
  absl::StatusOr<Place> TakePlace();

  Stub& stub() { return *stub_; }
  const Options& options() const { return options_; }
  std::stop_token closing() const { return closing_.get_token(); }

 private:
  const std::string name_;
  const Options options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Stub> stub_;
  std::stop_source closing_;
  std::atomic<int> calls_ = 0;
};

}  // namespace gantry::proxies
