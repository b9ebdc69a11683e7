// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/wire/rpc_status.h"
#include "shim/io/named_stream.h"
#include "shim/io/stream_table.h"
#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/loop/loop.h"
#include "shim/server/call.h"

namespace gantry::shim {

// A client at a stream of a process: one call of containerd.services.streaming.v1.Streaming/Stream.
// Its first message names the stream and is acknowledged; then data goes the one way, and the other
// way what the receiver allows to be sent.
class StreamClient final : private ExchangeReceiver {
 public:
  static constexpr size_t kMaxIdBytes = 4096;
  // What a receiver allows at once, and the longest piece of data.
  static constexpr size_t kWindowBytes = 64UL << 10;
  static constexpr size_t kPieceBytes = 32UL << 10;
  // The room that SendData() needs in front of the data.
  static constexpr size_t kHeadBytes = 64;

  StreamClient(Loop& loop, StreamTable& table, Exchange& exchange);
  StreamClient(const StreamClient&) = delete;
  ~StreamClient() { table_.Leave(*this); }

  const std::string& id() const { return id_; }  // empty before the first message

  // How many bytes it takes, and that some of them are used up.
  uint64_t credit() const { return credit_; }
  void Spend(size_t bytes) { credit_ -= bytes; }

  // `size` bytes, kHeadBytes behind the begin of `buffer`. False: it is known not to get them. The
  // client may be gone afterwards, as its stream has then been told.
  bool SendData(std::span<char> buffer, size_t size);
  // It has sent all that it will send.
  bool half_closed() const { return half_closed_; }
  // Allows the client to send that many bytes more.
  void Grant(size_t bytes);
  bool Waits() { return exchange_.Waits(); }

  // Ends the call. The client has left when this returns.
  void End(wire::RpcStatus status);

  // Until the call is over, and how it ends.
  Co<wire::RpcStatus> Over();

  // For the table: whom it tells.
  void Meet(NamedStream* stream) { stream_ = stream; }

 private:
  void Message(std::string_view message) override;
  void HalfClosed() override;
  void Written() override;
  void Left() override;
  void Open(std::string_view message);

  StreamTable& table_;
  Exchange& exchange_;
  std::string id_;
  NamedStream* stream_ = nullptr;
  uint64_t credit_ = 0;
  bool half_closed_ = false;
  wire::RpcStatus status_;
  Event over_;
};

}  // namespace gantry::shim
