// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>
#include <string>

#include "core/base/context.h"
#include "core/streaming/stream_registry.h"
#include "services/rpc/serial.h"

namespace gantry::streaming {

// The client's end of a stream: the first message names it, the answer to that says it is
// registered; then messages pass between gRPC and the stream's pipes, no faster than the slower
// side. Ends itself.
//
// All of it happens in Handle(), which Serial runs one at a time.
class StreamCall final
    : public grpc::ServerBidiReactor<google::protobuf::Any, google::protobuf::Any> {
 public:
  explicit StreamCall(StreamRegistry& streams);
  void Start(grpc::CallbackServerContext* call);

 private:
  using Any = google::protobuf::Any;
  enum Event : unsigned { kReadOk = 1, kReadEnd = 2, kWritten = 4, kCancelled = 8, kPipe = 16 };

  void OnReadDone(bool ok) override { serial_->Post(ok ? kReadOk : kReadEnd); }
  void OnWriteDone(bool ok) override { serial_->Post(ok ? kWritten : kWritten | kCancelled); }
  void OnCancel() override { serial_->Post(kCancelled); }
  void OnDone() override { delete this; }

  void Handle(unsigned events);
  absl::Status Open();
  void Receive();
  void Send();
  void End(const absl::Status& status);
  // Posts to whoever is left of this call.
  Pipe::Ready WakeUp() const;

  StreamRegistry& streams_;
  const std::shared_ptr<rpc::Serial> serial_;
  Context ctx_;
  std::shared_ptr<Stream> stream_;  // null until the first message
  std::optional<StreamRegistry::Registration> registration_;
  Any in_;
  Any out_;
  bool reading_ = false;
  bool writing_ = false;
  bool received_ = false;  // in_ waits for room in the pipe
  bool input_ended_ = false;
};

}  // namespace gantry::streaming
