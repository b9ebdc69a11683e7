// SPDX-License-Identifier: Apache-2.0
// A client of a process's streams, as a daemon is one.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>

#include "core/wire/client_connection.h"
#include "core/wire/rpc_status.h"
#include "shim/loop/loop.h"
#include "shim/messages/codec.h"
#include "shim/messages/streaming.h"
#include "shim/messages/types.h"
#include "shim/server/testing/peer.h"

namespace gantry::shim::testing {

class StreamPeer {
 public:
  // With a connection of its own.
  StreamPeer(Loop& loop, const std::string& socket, const std::string& id) : peer_(loop, socket) {
    const auto stream = peer_.wire.Start(
        {.service = "containerd.services.streaming.v1.Streaming", .method = "Stream"},
        wire::ClientConnection::Mode::kClientStream);
    EXPECT_TRUE(stream.ok());
    stream_ = stream.ok() ? *stream : 0;
    if (!id.empty()) Send(messages::StreamInit{.id = id});
  }

  template <typename T>
  void Send(const T& message) {
    const std::string packed = messages::Encode(messages::Pack(message));
    EXPECT_TRUE(peer_.wire.Send(stream_, packed).ok());
    peer_.Push({});
  }
  void Grant(int32_t bytes) { Send(messages::WindowUpdate{.update = bytes}); }
  void Write(std::string data) { Send(messages::Data{.data = std::move(data)}); }
  void HalfClose() {
    peer_.wire.CloseSend(stream_);
    peer_.Push({});
  }
  void Close() { peer_.Close(); }
  // All that was to be sent is with the kernel.
  bool flushed() { return peer_.wire.output().empty(); }
  void StopReading() { peer_.StopReading(); }
  void ReadOn() { peer_.ReadOn(); }

  // Looks at what has come. A reader keeps its window at 64 KiB as Go clients do.
  void Look(bool reader = false) {
    while (!peer_.events.empty()) {
      const wire::ClientEvent event = std::move(peer_.events.front());
      peer_.events.pop_front();
      if (event.kind == wire::ClientEvent::Kind::kEnd) ended = true;
      if (event.kind == wire::ClientEvent::Kind::kResponse) status = event.response.status;
      if (event.kind == wire::ClientEvent::Kind::kMessage) Take(event.message);
    }
    while (reader && !over() && granted_ - static_cast<int64_t>(text.size()) < kWindow) {
      granted_ += kWindow;
      Grant(kWindow);
    }
  }
  bool over() const { return ended || !status.ok(); }

  bool acknowledged = false;
  bool ended = false;
  wire::RpcStatus status;
  std::string text;     // all data
  size_t messages = 0;  // that it came in
  int64_t credit = 0;   // what may be written

 private:
  static constexpr int32_t kWindow = 65536;

  void Take(const std::string& bytes) {
    const auto any = messages::Decode<messages::Any>(bytes);
    ASSERT_TRUE(any);
    if (!acknowledged) {
      acknowledged = true;
      return;
    }
    if (messages::TypeName(*any) == messages::WindowUpdate::kTypeName) {
      const auto window = messages::Decode<messages::WindowUpdate>(any->value);
      ASSERT_TRUE(window);
      credit += window->update;
      return;
    }
    ASSERT_EQ(messages::TypeName(*any), messages::Data::kTypeName);
    const auto data = messages::Decode<messages::Data>(any->value);
    ASSERT_TRUE(data);
    EXPECT_LE(data->data.size(), 32768U);
    text += data->data;
    ++messages;
  }

  Peer peer_;
  uint32_t stream_ = 0;
  int64_t granted_ = 0;
};

}  // namespace gantry::shim::testing
