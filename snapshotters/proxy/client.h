// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <stop_token>
#include <string>

#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/gate.h"
#include "core/base/status.h"
#include "core/metadata/field_mask.h"
#include "core/snapshots/snapshotter.h"
#include "proto/services/snapshots/v1/snapshots.grpc.pb.h"

namespace gantry::proxy {

// What a call may take at most; the caller's own deadline may be sooner.
struct Budgets {
  absl::Duration create = absl::Minutes(5);  // a snapshotter may fetch what it mounts
  absl::Duration commit = absl::Minutes(10);
  absl::Duration remove = absl::Seconds(10);  // asked again by the next collection
  absl::Duration cleanup = absl::Minutes(1);
  absl::Duration ask = absl::Seconds(30);  // all calls that change no snapshot's life
};

// The snapshots service of another process, with that process's keys.
//
// The connection is made with the first call and remade when it breaks, after 3 seconds at the
// latest; meanwhile calls fail with Unavailable. Plugins with one address share it.
//
// Threads: all methods from any thread; none blocks. Answers come on gRPC's threads: the receiver
//          must not block. The destructor cancels what is under way and waits for its answers.
// Errors:  with the codes and messages of the peer; Unavailable, DeadlineExceeded and Cancelled may
//          also be ours, and then it is not known what became of the call.
class ProxyClient {
 public:
  // `address` is the path of a unix socket; `snapshotter` is how the peer knows itself.
  ProxyClient(const std::string& address, std::string snapshotter, Budgets budgets);
  ~ProxyClient();
  ProxyClient(const ProxyClient&) = delete;
  ProxyClient& operator=(const ProxyClient&) = delete;

  // Cancels what is under way and whatever is asked from now on.
  void CancelAll() { closing_.request_stop(); }

  // False while connecting fails; then a call would fail at once. Starts connecting if idle.
  bool MayBeReachable() const;

  void Prepare(const Context& ctx, const snapshots::PrepareRequest& request,
               snapshots::Done<mount::Mounts> done);
  void View(const Context& ctx, const snapshots::PrepareRequest& request,
            snapshots::Done<mount::Mounts> done);
  void Mounts(const Context& ctx, const std::string& key, snapshots::Done<mount::Mounts> done);
  void Commit(const Context& ctx, const snapshots::CommitRequest& request,
              snapshots::DoneStatus done);
  void Remove(const Context& ctx, const std::string& key, snapshots::DoneStatus done);
  void Stat(const Context& ctx, const std::string& key, snapshots::Done<snapshots::Info> done);
  void Update(const Context& ctx, const std::string& key, const Labels& labels,
              const metadata::FieldMask& mask, snapshots::Done<snapshots::Info> done);
  void GetUsage(const Context& ctx, const std::string& key, snapshots::Done<snapshots::Usage> done);
  void Cleanup(const Context& ctx, snapshots::DoneStatus done);

  // The committed snapshot that the peer itself made for this target on this parent; NotFound.
  void FindTarget(const Context& ctx, const std::string& target, const std::string& parent,
                  snapshots::Done<snapshots::Info> done);

 private:
  template <typename Request, typename Response>
  struct Call;
  class TargetSearch;
  using Stub = ::containerd::services::snapshots::v1::Snapshots::Stub;

  // `invoke(stub, context, request, response, callback)` calls one method.
  template <typename Response, typename Request, typename Invoke>
  void Start(const Context& ctx, absl::Duration budget, Request request, Invoke invoke,
             snapshots::Done<Response> done);

  const std::string snapshotter_;
  const Budgets budgets_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Stub> stub_;
  std::stop_source closing_;
  base::Gate gate_;
};

}  // namespace gantry::proxy
