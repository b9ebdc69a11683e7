// SPDX-License-Identifier: Apache-2.0
#include "core/wire/server_connection.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace gantry::wire {

std::optional<ServerEvent> ServerConnection::Next() {
  if (later_) return std::exchange(later_, std::nullopt);
  while (auto frame = parser_.Next()) {
    if (auto event = Handle(std::move(*frame))) return event;
  }
  return std::nullopt;
}

std::optional<ServerEvent> ServerConnection::Handle(Frame frame) {
  if (frame.type == FrameType::kRequest) return HandleRequest(frame);
  if (frame.type == FrameType::kData) return HandleData(std::move(frame));
  if (frame.oversize) {
    return Refuse(frame.stream, RpcCode::kResourceExhausted, "message exceeds the limit");
  }
  return std::nullopt;  // unknown types are ignored
}

std::optional<ServerEvent> ServerConnection::HandleRequest(const Frame& frame) {
  const uint32_t stream = frame.stream;
  if (stream % 2 == 0) {
    return Refuse(stream, RpcCode::kInvalidArgument, "stream id must be odd");
  }
  if (stream <= highest_stream_) {
    return Refuse(stream, RpcCode::kInvalidArgument, "stream id must grow");
  }
  highest_stream_ = stream;
  if (frame.oversize) {
    return Refuse(stream, RpcCode::kResourceExhausted, "request exceeds the message limit");
  }
  if (calls_.size() >= max_open_calls_) {
    return Refuse(stream, RpcCode::kResourceExhausted, "too many calls at once");
  }
  auto request = DecodeRequest(frame.data);
  if (!request) return Refuse(stream, RpcCode::kInvalidArgument, "request does not decode");

  ServerEvent event{.kind = ServerEvent::Kind::kRequest, .stream = stream};
  event.request = std::move(*request);
  if ((frame.flags & kFlagRemoteClosed) != 0) event.mode = ServerEvent::Mode::kServerStream;
  if ((frame.flags & kFlagRemoteOpen) != 0) event.mode = ServerEvent::Mode::kClientStream;
  calls_[stream] = {.streaming = event.mode != ServerEvent::Mode::kUnary,
                    .may_receive = event.mode == ServerEvent::Mode::kClientStream};
  return event;
}

std::optional<ServerEvent> ServerConnection::HandleData(Frame frame) {
  const auto call = calls_.find(frame.stream);
  if (call == calls_.end()) {
    return Refuse(frame.stream, RpcCode::kInvalidArgument, "data for a call that is not open");
  }
  if (!call->second.may_receive) {
    return Refuse(frame.stream, RpcCode::kInvalidArgument, "data where none is expected");
  }
  if (frame.oversize) {
    return Refuse(frame.stream, RpcCode::kResourceExhausted, "message exceeds the limit");
  }
  const bool last = (frame.flags & kFlagRemoteClosed) != 0;
  if (last) call->second.may_receive = false;
  ServerEvent half_close{.kind = ServerEvent::Kind::kHalfClose, .stream = frame.stream};
  if ((frame.flags & kFlagNoData) != 0) return last ? std::optional(half_close) : std::nullopt;
  if (last) later_ = half_close;
  ServerEvent event{.kind = ServerEvent::Kind::kMessage, .stream = frame.stream};
  event.message = std::move(frame.data);
  return event;
}

std::optional<ServerEvent> ServerConnection::Refuse(uint32_t stream, RpcCode code,
                                                    const char* message) {
  Response response;
  response.status = MakeStatus(code, message);
  AppendFrame(output_.back(), stream, FrameType::kResponse, 0, EncodeResponse(response));
  if (calls_.erase(stream) == 0) return std::nullopt;
  return ServerEvent{.kind = ServerEvent::Kind::kCancelled, .stream = stream};
}

void ServerConnection::Respond(uint32_t stream, const Response& response) {
  if (calls_.erase(stream) == 0) return;
  std::string data = EncodeResponse(response);
  if (data.size() > kMaxFrameBytes) {
    Response refusal;
    refusal.status = MakeStatus(RpcCode::kResourceExhausted, "response exceeds the message limit");
    data = EncodeResponse(refusal);
  }
  AppendFrame(output_.back(), stream, FrameType::kResponse, 0, data);
}

kernel::Result<void> ServerConnection::Send(uint32_t stream, std::string_view message) {
  const auto call = calls_.find(stream);
  if (call == calls_.end() || !call->second.streaming) {
    return kernel::Error{ENOENT, "send to a call that is over"};
  }
  if (message.size() > kMaxFrameBytes) return kernel::Error{EMSGSIZE, "send"};
  AppendFrame(output_.back(), stream, FrameType::kData, 0, message);
  return {};
}

void ServerConnection::End(uint32_t stream) {
  if (calls_.erase(stream) == 0) return;
  AppendFrame(output_.back(), stream, FrameType::kData, kFlagRemoteClosed | kFlagNoData, {});
}

}  // namespace gantry::wire
