// SPDX-License-Identifier: Apache-2.0
// Server streams that are produced message by message, so that a slow client holds neither a thread
// nor a database reader.
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

// Fills the next message. False at the end of the stream, leaving the message alone.
template <typename Response>
using NextMessage = absl::AnyInvocable<absl::StatusOr<bool>(const Context&, Response&)>;

// Produces one message at a time on the worker pool and sends it; the next is produced once it is
// written. Ends itself.
template <typename Response>
class StreamCall final : public grpc::ServerWriteReactor<Response> {
 public:
  StreamCall(base::WorkerPool& workers, NextMessage<Response> next)
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
    const absl::StatusOr<bool> more = next_(ctx_, message_);
    if (!more.ok() || !*more) return this->Finish(ToGrpc(more.status()));
    this->StartWrite(&message_);
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
  NextMessage<Response> next_;
  std::stop_source stop_;
  Context ctx_;
  Response message_;
};

template <typename Response>
grpc::ServerWriteReactor<Response>* RunStream(grpc::CallbackServerContext* call,
                                              base::WorkerPool& workers, NextMessage<Response> next,
                                              Namespace needs = Namespace::kRequired) {
  auto* reactor = new StreamCall<Response>(workers, std::move(next));
  reactor->Start(call, needs);
  return reactor;
}

}  // namespace gantry::rpc
