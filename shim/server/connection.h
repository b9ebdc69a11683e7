// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "core/kernel/unique_fd.h"
#include "core/wire/server_connection.h"
#include "core/wire/ttrpc_envelope.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// One ttrpc connection: bytes between a socket and the protocol.
//
// While more output waits than allowed, nothing is read and no request is handed out. What a peer
// can make it hold is one frame, the output allowed, and the answers of the calls that run. What a
// peer sent before it left is handed out, though it takes nothing any more.
class Connection {
 public:
  struct Limits {
    size_t calls;
    size_t output_bytes;
  };
  struct Callbacks {
    // A request, or what belongs to an earlier one. All of the below may be called within.
    std::function<void(wire::ServerEvent)> event;
    // All output has been written, to a peer that takes it.
    std::function<void()> written;
    // The end, after which nothing happens here; may destroy the connection.
    std::function<void()> closed;
  };

  // `socket` does not block.
  Connection(Loop& loop, kernel::UniqueFd socket, Limits limits, Callbacks callbacks);
  Connection(const Connection&) = delete;

  // Reads on from here.
  void Start() { Advance(); }

  // Ends a call. The connection may be gone afterwards.
  void Respond(uint32_t stream, const wire::Response& response);

  // The same for streaming calls: a message, and a good end. False once the call is over, or when
  // the peer is known to take nothing. The connection may be gone afterwards.
  bool Send(uint32_t stream, std::string_view message);
  void End(uint32_t stream);

  size_t output_bytes() { return wire_.output().size(); }

 private:
  void OnReady(uint32_t events);
  bool Advance();
  void HandOut();
  bool Read();
  void Write();
  bool OutputIsLong() { return wire_.output().size() > limits_.output_bytes; }
  bool Close();

  const kernel::UniqueFd socket_;
  const Limits limits_;
  const Callbacks callbacks_;
  wire::ServerConnection wire_;
  bool handing_out_ = false;
  bool held_back_ = false;  // events may be left in wire_
  bool deaf_ = false;       // the peer takes no output any more
  FdWatch watch_;
};

}  // namespace gantry::shim
