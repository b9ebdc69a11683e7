// SPDX-License-Identifier: Apache-2.0
#include "core/wire/client_connection.h"

#include <cerrno>
#include <limits>
#include <utility>

namespace gantry::wire {
namespace {

ClientEvent Failure(uint32_t stream, RpcCode code, const char* message) {
  ClientEvent event{.kind = ClientEvent::Kind::kResponse, .stream = stream};
  event.response.status = MakeStatus(code, message);
  return event;
}

}  // namespace

kernel::Result<uint32_t> ClientConnection::Start(const Request& request, Mode mode) {
  if (next_stream_ == 0) return kernel::Error{EOVERFLOW, "start a call"};
  const std::string data = EncodeRequest(request);
  if (data.size() > kMaxFrameBytes) return kernel::Error{EMSGSIZE, "request " + request.method};
  uint8_t flags = 0;
  if (mode == Mode::kServerStream) flags = kFlagRemoteClosed;
  if (mode == Mode::kClientStream) flags = kFlagRemoteOpen;
  const uint32_t stream = next_stream_;
  constexpr uint32_t kLast = std::numeric_limits<uint32_t>::max();
  next_stream_ = stream == kLast ? 0 : stream + 2;
  AppendFrame(output_.back(), stream, FrameType::kRequest, flags, data);
  calls_[stream] = {.streaming = mode != Mode::kUnary, .may_send = mode == Mode::kClientStream};
  return stream;
}

kernel::Result<void> ClientConnection::Send(uint32_t stream, std::string_view message) {
  const auto call = calls_.find(stream);
  if (call == calls_.end()) return kernel::Error{ENOENT, "send to a call that is over"};
  if (!call->second.may_send) return kernel::Error{EPIPE, "send to a closed stream"};
  if (message.size() > kMaxFrameBytes) return kernel::Error{EMSGSIZE, "send"};
  AppendFrame(output_.back(), stream, FrameType::kData, 0, message);
  return {};
}

void ClientConnection::CloseSend(uint32_t stream) {
  const auto call = calls_.find(stream);
  if (call == calls_.end() || !call->second.may_send) return;
  call->second.may_send = false;
  // Never together with a message: Go servers take the message and report an error as well.
  AppendFrame(output_.back(), stream, FrameType::kData, kFlagRemoteClosed | kFlagNoData, {});
}

std::optional<ClientEvent> ClientConnection::Next() {
  if (later_) return std::exchange(later_, std::nullopt);
  while (auto frame = parser_.Next()) {
    if (auto event = Handle(std::move(*frame))) return event;
  }
  return std::nullopt;
}

std::optional<ClientEvent> ClientConnection::Handle(Frame frame) {
  const uint32_t stream = frame.stream;
  if (!calls_.contains(stream)) return std::nullopt;  // given up, or never ours
  if (frame.oversize) {
    calls_.erase(stream);
    return Failure(stream, RpcCode::kResourceExhausted, "response exceeds the message limit");
  }
  if (frame.type == FrameType::kResponse) return HandleResponse(stream, frame);
  if (frame.type == FrameType::kData) return HandleData(stream, std::move(frame));
  return std::nullopt;
}

ClientEvent ClientConnection::HandleResponse(uint32_t stream, const Frame& frame) {
  calls_.erase(stream);
  auto response = DecodeResponse(frame.data);
  if (!response) return Failure(stream, RpcCode::kInternal, "response does not decode");
  ClientEvent event{.kind = ClientEvent::Kind::kResponse, .stream = stream};
  event.response = std::move(*response);
  return event;
}

std::optional<ClientEvent> ClientConnection::HandleData(uint32_t stream, Frame frame) {
  const bool last = (frame.flags & kFlagRemoteClosed) != 0;
  const bool has_message = (frame.flags & kFlagNoData) == 0;
  if (!calls_[stream].streaming) {
    if (!last) return std::nullopt;
    // A closing data frame may stand in for the response.
    calls_.erase(stream);
    ClientEvent event{.kind = ClientEvent::Kind::kResponse, .stream = stream};
    event.response.payload = std::move(frame.data);
    return event;
  }
  ClientEvent end{.kind = ClientEvent::Kind::kEnd, .stream = stream};
  if (last) calls_.erase(stream);
  if (!has_message) return last ? std::optional(end) : std::nullopt;
  if (last) later_ = end;
  ClientEvent event{.kind = ClientEvent::Kind::kMessage, .stream = stream};
  event.message = std::move(frame.data);
  return event;
}

}  // namespace gantry::wire
