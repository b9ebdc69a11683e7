// SPDX-License-Identifier: Apache-2.0
#pragma once

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

// What a server sent for one call.
struct ClientEvent {
  enum class Kind {
    kResponse,  // the outcome; the call is over
    kMessage,   // one message of a stream
    kEnd,       // the stream is over, successfully and without a response
  };
  Kind kind = Kind::kResponse;
  uint32_t stream = 0;
  Response response;
  std::string message;
};

// The client's side of a ttrpc connection, without the connection: bytes in, events out, frames to
// write in output(). Knows method names and payload bytes, nothing of messages.
//
// Threads: one at a time. Memory: one incoming frame, the output, and a few bytes per open call.
class ClientConnection {
 public:
  enum class Mode {
    kUnary,
    kServerStream,  // one message there, many back
    kClientStream,  // many messages there; back one or many
  };

  // Starts a call and gives its stream. EMSGSIZE: over kMaxFrameBytes, nothing is sent. EOVERFLOW:
  // the connection has used up its streams and must be replaced.
  kernel::Result<uint32_t> Start(const Request& request, Mode mode = Mode::kUnary);

  // A further message of a kClientStream. ENOENT once the call is over, EPIPE after CloseSend().
  kernel::Result<void> Send(uint32_t stream, std::string_view message);
  void CloseSend(uint32_t stream);

  // Gives a call up: what still comes for it is dropped. The server is not told; ttrpc has no frame
  // for that.
  void Forget(uint32_t stream) { calls_.erase(stream); }

  // Take the events out with Next() before feeding on.
  void Feed(std::string_view bytes) { parser_.Feed(bytes); }
  std::optional<ClientEvent> Next();
  bool broken() const { return parser_.broken(); }

  OutputQueue& output() { return output_; }
  size_t open_calls() const { return calls_.size(); }

 private:
  struct Call {
    bool streaming = false;
    bool may_send = false;
  };
  std::optional<ClientEvent> Handle(Frame frame);
  ClientEvent HandleResponse(uint32_t stream, const Frame& frame);
  std::optional<ClientEvent> HandleData(uint32_t stream, Frame frame);

  FrameParser parser_;
  OutputQueue output_;
  std::map<uint32_t, Call> calls_;
  std::optional<ClientEvent> later_;  // the second event of a frame that makes two
  uint32_t next_stream_ = 1;          // odd and growing; 0 once used up
};

}  // namespace gantry::wire
