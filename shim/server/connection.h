// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/kernel/unique_fd.h"
#include "core/wire/server_connection.h"
#include "core/wire/ttrpc_envelope.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// One ttrpc connection: bytes between a socket and the protocol.
//
// While more output waits than allowed, nothing is read and no request is handed out. What a peer
// can make it hold is one frame, the output allowed, and the answers of the calls that run.
class Connection {
 public:
  struct Limits {
    size_t calls;
    size_t output_bytes;
  };
  struct Callbacks {
    // A request; Respond() may be called within.
    std::function<void(wire::ServerEvent)> request;
    // All output has been written.
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

  size_t output_bytes() { return wire_.output().size(); }

 private:
  void OnReady(uint32_t events);
  void Advance();
  void HandOut();
  bool Read();
  bool Write();
  bool OutputIsLong() { return wire_.output().size() > limits_.output_bytes; }
  void Close();

  const kernel::UniqueFd socket_;
  const Limits limits_;
  const Callbacks callbacks_;
  wire::ServerConnection wire_;
  bool handing_out_ = false;
  bool held_back_ = false;  // requests may be left in wire_
  FdWatch watch_;
};

}  // namespace gantry::shim
