// SPDX-License-Identifier: Apache-2.0
// Server streams whose messages may depend on another process. As stream.h, but the next message
// may also come later, from another thread; none is held meanwhile.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <stop_token>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "core/base/context.h"
#include "core/base/status.h"
#include "core/base/worker_pool.h"
#include "services/rpc/call.h"

namespace gantry::rpc {

// Fills the next message, then says whether there is one: false at the end of the stream, leaving
// the message alone. Called on the worker pool; answers once, at once or later.
template <typename Response>
using NextMessageAsync = absl::AnyInvocable<void(const Context&, Response&,
                                                 absl::AnyInvocable<void(absl::StatusOr<bool>)>)>;

template <typename Response>
class AsyncStreamCall final : public grpc::ServerWriteReactor<Response> {
 public:
  AsyncStreamCall(base::WorkerPool& workers, NextMessageAsync<Response> next)
      : workers_(workers), next_(std::move(next)) {}

  void Start(grpc::CallbackServerContext* call, Namespace needs) {
    absl::StatusOr<Context> ctx = MakeContext(*call, needs, stop_.get_token());
    if (!ctx.ok()) {
      this->Finish(ToGrpc(ctx.status()));
      return;
    }
    ctx_ = *std::move(ctx);
    Produce();
  }

 private:
  void Produce() {
    if (!workers_.TryPost([this] { ProduceNow(); })) {
      this->Finish(ToGrpc(ResourceExhausted("too many calls are waiting")));
    }
  }

  void ProduceNow() {
    if (const absl::Status wanted = ctx_.Check(); !wanted.ok()) return this->Finish(ToGrpc(wanted));
    message_.Clear();
    next_(ctx_, message_, [this](absl::StatusOr<bool> more) {
      if (!more.ok() || !*more) return this->Finish(ToGrpc(more.status()));
      this->StartWrite(&message_);
    });
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      Produce();
    } else {
      this->Finish(ToGrpc(Cancelled("client went away")));
    }
  }
  void OnCancel() override { stop_.request_stop(); }
  void OnDone() override { delete this; }

  base::WorkerPool& workers_;
  NextMessageAsync<Response> next_;
  std::stop_source stop_;
  Context ctx_;
  Response message_;
};

template <typename Response>
grpc::ServerWriteReactor<Response>* RunAsyncStream(grpc::CallbackServerContext* call,
                                                   base::WorkerPool& workers,
                                                   NextMessageAsync<Response> next,
                                                   Namespace needs = Namespace::kRequired) {
  auto* reactor = new AsyncStreamCall<Response>(workers, std::move(next));
  reactor->Start(call, needs);
  return reactor;
}

}  // namespace gantry::rpc
