// SPDX-License-Identifier: Apache-2.0
#include "services/streaming/stream_call.h"

#include <google/protobuf/empty.pb.h>

#include <utility>

#include "core/base/status.h"
#include "proto/services/streaming/v1/streaming.pb.h"
#include "services/rpc/call.h"

namespace gantry::streaming {
namespace {

using ::containerd::services::streaming::v1::StreamInit;

}  // namespace

StreamCall::StreamCall(StreamRegistry& streams)
    : streams_(streams),
      serial_(std::make_shared<rpc::Serial>([this](unsigned events) { Handle(events); })) {}

void StreamCall::Start(grpc::CallbackServerContext* call) {
  absl::StatusOr<Context> ctx = rpc::MakeContext(*call, rpc::Namespace::kRequired, {});
  if (!ctx.ok()) return Finish(rpc::ToGrpc(ctx.status()));
  ctx_ = *std::move(ctx);
  reading_ = true;
  StartRead(&in_);
}

Pipe::Ready StreamCall::WakeUp() const {
  return [serial = serial_] { serial->Post(kPipe); };
}

void StreamCall::Handle(unsigned events) {
  if ((events & kWritten) != 0) writing_ = false;
  if ((events & (kReadOk | kReadEnd)) != 0) reading_ = false;
  if ((events & kCancelled) != 0) return End(Cancelled("client went away"));
  if ((events & kReadEnd) != 0) input_ended_ = true;
  if (stream_ == nullptr) {
    if (input_ended_) return End(InvalidArgument("stream ended before it was named"));
    if (const absl::Status opened = Open(); !opened.ok()) return End(opened);
  } else if ((events & kReadOk) != 0) {
    received_ = true;
  }
  Receive();
  Send();
}

absl::Status StreamCall::Open() {
  StreamInit init;
  if (in_.type_url() != StreamInit::descriptor()->full_name()) {
    return InvalidArgument("first message must be a StreamInit, have \"{}\"", in_.type_url());
  }
  if (!init.ParseFromString(in_.value())) return InvalidArgument("StreamInit does not parse");
  auto stream = std::make_shared<Stream>();
  ASSIGN_OR_RETURN(StreamRegistry::Registration registration,
                   streams_.Register(ctx_, init.id(), stream));
  registration_.emplace(std::move(registration));
  stream_ = std::move(stream);
  // Only now may the client refer to the stream.
  out_.set_type_url(google::protobuf::Empty::descriptor()->full_name());
  writing_ = true;
  StartWrite(&out_);
  return absl::OkStatus();
}

void StreamCall::Receive() {
  if (received_) {
    const absl::StatusOr<bool> taken = stream_->from_client.TryWrite(in_, WakeUp());
    if (taken.ok() && !*taken) return;  // No room: nothing more is read until there is.
    received_ = false;
    if (!taken.ok()) return;  // Nobody reads any more; Send() will find the end.
  }
  if (input_ended_) {
    stream_->from_client.Close();
    // Nobody will ever answer a client that is done before anyone came.
    if (!stream_->picked_up) stream_->to_client.Close();
  } else if (!reading_) {
    reading_ = true;
    StartRead(&in_);
  }
}

void StreamCall::Send() {
  if (writing_) return;
  auto next = stream_->to_client.Poll(WakeUp());
  if (!next) return;
  if (!next->ok()) {
    return End(absl::IsOutOfRange(next->status()) ? absl::OkStatus() : next->status());
  }
  out_ = **std::move(next);
  writing_ = true;
  StartWrite(&out_);
}

void StreamCall::End(const absl::Status& status) {
  serial_->Close();
  if (stream_ != nullptr) {
    stream_->Close(status.ok() ? Cancelled("stream has ended") : status);
  }
  registration_.reset();
  Finish(rpc::ToGrpc(status));  // This call may be gone when it returns.
}

}  // namespace gantry::streaming
