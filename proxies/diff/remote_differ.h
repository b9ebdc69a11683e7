// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <memory>
#include <stop_token>
#include <string>

#include "core/diff/differ.h"
#include "proto/services/diff/v1/diff.grpc.pb.h"
#include "proxies/rpc/channel.h"

namespace gantry::proxies {

// A differ in another process, which serves containerd.services.diff.v1. Progress of an unpacking
// is not told.
//
// Threads: any. A call holds its thread until the other process answers or its context ends; so
//          many at once, then Unavailable, so that a process that hangs cannot hold every worker.
//          The destructor cancels what is under way.
// Errors:  with the codes and messages of the other process; Unavailable while it cannot be
//          reached.
class RemoteDiffer final : public diff::Differ {
 public:
  struct Options {
    int max_calls = 8;  // under way at once; fewer than there are workers
  };

  // `address` is the path of a unix socket; `name` the plugin's, for messages.
  RemoteDiffer(std::string name, const std::string& address, Options options);
  RemoteDiffer(std::string name, const std::string& address)
      : RemoteDiffer(std::move(name), address, Options()) {}
  ~RemoteDiffer() override { closing_.request_stop(); }

  absl::StatusOr<Descriptor> Apply(const Context& ctx, const Descriptor& layer,
                                   const mount::Mounts& mounts,
                                   const diff::ApplyOptions& options) override;
  absl::StatusOr<Descriptor> Compare(const Context& ctx, const mount::Mounts& left,
                                     const mount::Mounts& right,
                                     const diff::CompareOptions& options) override;

 private:
  template <typename Body>
  absl::Status Call(const Context& ctx, Body body);

  const std::string name_;
  const Options options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<::containerd::services::diff::v1::Diff::Stub> stub_;
  std::stop_source closing_;
  std::atomic<int> calls_ = 0;
};

}  // namespace gantry::proxies
