// SPDX-License-Identifier: Apache-2.0
// Server streams that are produced page by page, so that a slow client holds neither a thread nor a
// database reader, and a stream of many small messages does not change threads for each of them.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <deque>
#include <optional>
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

// Produces a page of messages on the worker pool and sends them; the next page is produced once
// they are written. Ends itself. Worker and gRPC take turns: nothing here is touched by both at
// once.
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
  // A page ends with the message that reaches one of these.
  static constexpr size_t kPageMessages = 64;
  static constexpr size_t kPageBytes = 256 << 10;

  void Produce() {
    if (!workers_.TryPost([this] { ProduceNow(); })) {
      this->Finish(ToGrpc(ResourceExhausted("too many calls are waiting")));
    }
  }

  void ProduceNow() {
    page_.clear();
    for (size_t bytes = 0; !end_ && page_.size() < kPageMessages && bytes < kPageBytes;) {
      absl::Status status = ctx_.Check();
      if (status.ok()) status = AddMessage(bytes);
      if (!status.ok()) end_ = std::move(status);
    }
    SendNext();
  }

  // Sets end_ if there is no further message.
  absl::Status AddMessage(size_t& bytes) {
    Response& message = page_.emplace_back();
    const absl::StatusOr<bool> more = next_(ctx_, message);
    if (more.ok() && *more) {
      bytes += message.ByteSizeLong();
      return absl::OkStatus();
    }
    page_.pop_back();
    if (more.ok()) end_ = absl::OkStatus();
    return more.status();
  }

  void SendNext() {
    if (page_.empty()) return end_ ? this->Finish(ToGrpc(*end_)) : Produce();
    message_ = std::move(page_.front());
    page_.pop_front();
    if (page_.empty() && end_) {
      this->StartWriteAndFinish(&message_, grpc::WriteOptions(), ToGrpc(*end_));
    } else {
      this->StartWrite(&message_);
    }
  }

  void OnWriteDone(bool ok) override {
    if (page_.empty() && end_) return;  // It was written with the end.
    if (ok) {
      SendNext();
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
  std::deque<Response> page_;        // Produced, not yet sent.
  std::optional<absl::Status> end_;  // Once the last message was produced.
  Response message_;                 // Being written.
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
