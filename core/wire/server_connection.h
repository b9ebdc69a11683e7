// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/kernel/result.h"
#include "core/wire/output_queue.h"
#include "core/wire/ttrpc_envelope.h"
#include "core/wire/ttrpc_frame.h"

namespace gantry::wire {

// What a client sent.
struct ServerEvent {
  enum class Kind {
    kRequest,    // a new call
    kMessage,    // a further message of a streaming call
    kHalfClose,  // the client has sent its last message
    kCancelled,  // the client broke the rules and the call is over; answers are dropped
  };
  enum class Mode { kUnary, kServerStream, kClientStream };
  Kind kind = Kind::kRequest;
  uint32_t stream = 0;
  Request request;
  Mode mode = Mode::kUnary;  // of a kRequest, as the client sees it
  std::string message;
};

// The server's side of a ttrpc connection, without the connection: bytes in, events out, frames to
// write in output(). Broken frames are answered here; no input stops it but a frame length that no
// ttrpc peer would send.
//
// The owner stops feeding while output() is long: ttrpc has no flow control of its own.
// Threads: one at a time. Memory: one incoming frame, the output, a few bytes per open call.
class ServerConnection {
 public:
  // Calls beyond `max_open_calls` are answered ResourceExhausted.
  explicit ServerConnection(size_t max_open_calls) : max_open_calls_(max_open_calls) {}

  // Take the events out with Next() before feeding on.
  void Feed(std::string_view bytes) { parser_.Feed(bytes); }
  std::optional<ServerEvent> Next();
  bool broken() const { return parser_.broken(); }

  // Ends a call. One that is over already is not answered again. A response over the limit becomes
  // ResourceExhausted.
  void Respond(uint32_t stream, const Response& response);

  // A message of a streaming call. EMSGSIZE over the limit, ENOENT once the call is over.
  kernel::Result<void> Send(uint32_t stream, std::string_view message);
  // Ends a streaming call with success and without a message.
  void End(uint32_t stream);

  OutputQueue& output() { return output_; }
  size_t open_calls() const { return calls_.size(); }

 private:
  struct Call {
    bool streaming = false;
    bool may_receive = false;
  };
  std::optional<ServerEvent> Handle(Frame frame);
  std::optional<ServerEvent> HandleRequest(const Frame& frame);
  std::optional<ServerEvent> HandleData(Frame frame);
  // Answers with an error and, if the call was open, tells the owner that it is over.
  std::optional<ServerEvent> Refuse(uint32_t stream, RpcCode code, const char* message);

  const size_t max_open_calls_;
  FrameParser parser_;
  OutputQueue output_;
  std::map<uint32_t, Call> calls_;
  std::optional<ServerEvent> later_;  // the second event of a frame that makes two
  uint32_t highest_stream_ = 0;
};

}  // namespace gantry::wire
