// SPDX-License-Identifier: Apache-2.0
// Unary calls over gRPC's callback API.
//
// RunUnary is for work that local disk or the CPU bounds: it runs on the worker pool. RunAsync is
// for whatever waits on a shim, a runtime, a registry, a proxy, a lock queue or an exit: it is
// completion-based and holds no thread meanwhile.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "core/base/context.h"
#include "core/base/status.h"
#include "core/base/worker_pool.h"
#include "services/rpc/call.h"

namespace gantry::rpc {

// The reactor of one unary call. Ends itself: gRPC calls OnDone last, after Finish and after any
// OnCancel.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  std::stop_token stop_token() const { return stop_.get_token(); }
  void End(const absl::Status& status) { Finish(ToGrpc(status)); }

 private:
  void OnCancel() override { stop_.request_stop(); }
  void OnDone() override { delete this; }

  std::stop_source stop_;
};

// Runs `work(const Context&)`, which returns absl::StatusOr<Response> or, for an Empty response,
// absl::Status. ResourceExhausted when the pool is full.
template <typename Response, typename Work>
grpc::ServerUnaryReactor* RunUnary(grpc::CallbackServerContext* call, base::WorkerPool& workers,
                                   Response* response, Work work,
                                   Namespace needs = Namespace::kRequired) {
  auto* reactor = new UnaryCall();
  absl::StatusOr<Context> ctx = MakeContext(*call, needs, reactor->stop_token());
  if (!ctx.ok()) {
    reactor->End(ctx.status());
    return reactor;
  }
  const bool posted =
      workers.TryPost([reactor, response, ctx = *std::move(ctx), work = std::move(work)]() mutable {
        if (const absl::Status wanted = ctx.Check(); !wanted.ok()) return reactor->End(wanted);
        if constexpr (std::is_same_v<std::invoke_result_t<Work, const Context&>, absl::Status>) {
          reactor->End(work(ctx));
        } else {
          absl::StatusOr<Response> result = work(ctx);
          if (result.ok()) *response = *std::move(result);
          reactor->End(result.status());
        }
      });
  if (!posted) reactor->End(ResourceExhausted("too many calls are waiting"));
  return reactor;
}

// How an asynchronous call is answered: once, from any thread.
template <typename Response>
using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

// Calls `start(const Context&, Done<Response>)` at once, on gRPC's thread: it must only start
// something and return. The stop token of the context ends with the call.
template <typename Response, typename Start>
grpc::ServerUnaryReactor* RunAsync(grpc::CallbackServerContext* call, Response* response,
                                   Start start, Namespace needs = Namespace::kRequired) {
  auto* reactor = new UnaryCall();
  absl::StatusOr<Context> ctx = MakeContext(*call, needs, reactor->stop_token());
  if (!ctx.ok()) {
    reactor->End(ctx.status());
    return reactor;
  }
  start(*ctx, Done<Response>([reactor, response](absl::StatusOr<Response> result) {
    if (result.ok()) *response = *std::move(result);
    reactor->End(result.status());
  }));
  return reactor;
}

// Hands an asynchronous call to the pool for work that blocks on local disk. `work(Done<Response>)`
// answers; ResourceExhausted if the pool is full.
template <typename Response>
void Post(base::WorkerPool& workers, Done<Response> done,
          absl::AnyInvocable<void(Done<Response>)> work) {
  // Shared, so that the answer is still at hand if the pool refuses.
  auto answer = std::make_shared<Done<Response>>(std::move(done));
  if (!workers.TryPost([answer, work = std::move(work)]() mutable { work(std::move(*answer)); })) {
    std::move (*answer)(ResourceExhausted("too many calls are waiting"));
  }
}

// A unary call that ends at once; with OK, `response` was filled before.
inline grpc::ServerUnaryReactor* EndNow(const absl::Status& status) {
  auto* reactor = new UnaryCall();
  reactor->End(status);
  return reactor;
}

}  // namespace gantry::rpc
