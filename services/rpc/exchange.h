// SPDX-License-Identifier: Apache-2.0
// Two-way streams in lock step: one answer for each message.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <stop_token>
#include <utility>

#include "core/base/context.h"
#include "core/base/status.h"
#include "core/base/worker_pool.h"
#include "services/rpc/call.h"

namespace gantry::rpc {

enum class Step { kContinue, kEnd };

// What happens on one stream. Created, called and destroyed on the worker pool, one at a time, so
// that all of it may block on local disk.
template <typename Request, typename Response>
class Session {
 public:
  virtual ~Session() = default;
  // Handles one message and fills the answer. kEnd ends the stream OK once the answer is sent.
  virtual absl::StatusOr<Step> Handle(const Context& ctx, const Request& request,
                                      Response& response) = 0;
};

// Reads a message, has the session handle it on the pool, sends the answer, and so on until the
// client closes its side. Ends itself; the session is gone before the client sees the end. Where
// the pool has no room for a session's end, `ends` must have.
template <typename Request, typename Response>
class ExchangeCall final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  ExchangeCall(base::WorkerPool& workers, base::WorkerPool& ends,
               std::unique_ptr<Session<Request, Response>> session)
      : workers_(workers), ends_(ends), session_(std::move(session)) {}

  void Start(grpc::CallbackServerContext* call) {
    absl::StatusOr<Context> ctx = MakeContext(*call, Namespace::kRequired, stop_.get_token());
    if (!ctx.ok()) return this->Finish(ToGrpc(ctx.status()));
    ctx_ = *std::move(ctx);
    this->StartRead(&request_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (ok) {
      if (!workers_.TryPost([this] { Handle(); }))
        End(ResourceExhausted("too many calls are waiting"));
    } else {
      End(absl::OkStatus());
    }
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return End(Cancelled("client went away"));
    this->StartRead(&request_);
  }

  void Handle() {
    response_.Clear();
    const absl::StatusOr<Step> step = session_->Handle(ctx_, request_, response_);
    if (!step.ok()) return EndHere(step.status());
    if (*step == Step::kContinue) return this->StartWrite(&response_);
    session_.reset();
    this->StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
  }

  // Ends the session where it may block, then the stream.
  void End(absl::Status status) {
    const auto end = [this, status] { EndHere(status); };
    if (workers_.TryPost(end) || ends_.TryPost(end)) return;
    end();  // Both are stopping.
  }

  void EndHere(const absl::Status& status) {
    session_.reset();
    this->Finish(ToGrpc(status));
  }

  void OnCancel() override { stop_.request_stop(); }
  void OnDone() override { delete this; }

  base::WorkerPool& workers_;
  base::WorkerPool& ends_;
  std::unique_ptr<Session<Request, Response>> session_;
  std::stop_source stop_;
  Context ctx_;
  Request request_;
  Response response_;
};

template <typename Request, typename Response>
grpc::ServerBidiReactor<Request, Response>* RunExchange(
    grpc::CallbackServerContext* call, base::WorkerPool& workers, base::WorkerPool& ends,
    std::unique_ptr<Session<Request, Response>> session) {
  auto* reactor = new ExchangeCall<Request, Response>(workers, ends, std::move(session));
  reactor->Start(call);
  return reactor;
}

}  // namespace gantry::rpc
