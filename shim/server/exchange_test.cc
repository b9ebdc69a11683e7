// SPDX-License-Identifier: Apache-2.0
// Calls that have many messages both ways.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/wire/client_connection.h"
#include "core/wire/ttrpc_frame.h"
#include "shim/server/server.h"
#include "shim/server/testing/peer.h"

namespace gantry::shim {
namespace {

using Mode = wire::ClientConnection::Mode;
using testing::Peer;
using wire::RpcCode;

// Sends back what comes, until its caller has said all or has left.
class Echo final : public ExchangeReceiver {
 public:
  Echo(Loop& loop, Exchange& exchange) : exchange_(exchange), over_(loop) {
    exchange_.Receive(*this);
  }
  void Message(std::string_view message) override {
    seen.emplace_back(message);
    exchange_.Send(message);
    waits = exchange_.Waits();
  }
  void HalfClosed() override {
    half_closed = true;
    over_.Set();
  }
  void Written() override { ++written; }
  void Left() override {
    left = true;
    over_.Set();
  }
  Event& over() { return over_; }

  std::vector<std::string> seen;
  bool waits = false;
  int written = 0;
  bool half_closed = false;
  bool left = false;

 private:
  Exchange& exchange_;
  Event over_;
};

Co<wire::RpcStatus> ServeEcho(Loop& loop, std::shared_ptr<Echo>& shown, Call /*call*/,
                              Exchange& exchange) {
  const auto echo = std::make_shared<Echo>(loop, exchange);
  shown = echo;
  co_await echo->over().Wait();
  wire::RpcStatus status;
  if (!echo->seen.empty() && echo->seen.back() == "!") status.code = RpcCode::kDataLoss;
  co_return status;
}

class ExchangeTest : public testing::LoopFixture {
 protected:
  ExchangeTest() {
    exchanges_["Echo"] = [this](Call call, Exchange& exchange) {
      return ServeEcho(loop_, echo_, std::move(call), exchange);
    };
    auto socket = ListeningSocket::Bind(Path());
    EXPECT_TRUE(socket.ok());
    server_ = *Server::Create(loop_, *std::move(socket), {.ns = "own"});
    server_->RegisterExchanges("test.Service", exchanges_);
  }
  ~ExchangeTest() override {
    RunUntil([this] { return server_->calls() == 0; });
  }

  static uint32_t Open(Peer& peer, std::string payload = {}) {
    const auto stream = peer.wire.Start(
        {.service = "test.Service", .method = "Echo", .payload = std::move(payload)},
        Mode::kClientStream);
    EXPECT_TRUE(stream.ok());
    peer.Push({});
    return stream.ok() ? *stream : 0;
  }
  static void Send(Peer& peer, uint32_t stream, std::string_view message) {
    EXPECT_TRUE(peer.wire.Send(stream, message).ok());
    peer.Push({});
  }

  std::shared_ptr<Echo> echo_;
  ExchangeMethods exchanges_;
  std::unique_ptr<Server> server_;
};

TEST_F(ExchangeTest, MessagesGoBothWaysUntilTheCallerHasSaidAll) {
  Peer peer(loop_, Path());
  const uint32_t stream = Open(peer, "with the request");
  for (const char* message : {"one", "", "two"}) Send(peer, stream, message);
  RunUntil([&] { return peer.events.size() == 4; });
  peer.wire.CloseSend(stream);
  peer.Push({});
  RunUntil([&] { return peer.events.size() == 5; });
  std::string text;
  for (const wire::ClientEvent& event : peer.events) text += event.message + ",";
  EXPECT_EQ(text, "with the request,one,,two,,");
  EXPECT_EQ(peer.events.back().kind, wire::ClientEvent::Kind::kEnd);
  EXPECT_FALSE(echo_->left);
}

TEST_F(ExchangeTest, AnErrorEndsIt) {
  Peer peer(loop_, Path());
  const uint32_t stream = Open(peer, "!");
  peer.wire.CloseSend(stream);
  peer.Push({});
  RunUntil([&] { return peer.events.size() == 2; });
  EXPECT_EQ(peer.events.back().response.status.code, RpcCode::kDataLoss);
}

TEST_F(ExchangeTest, WhatACallerSaidBeforeItLeftIsHandedOut) {
  wire::ClientConnection caller;
  const auto stream =
      caller.Start({.service = "test.Service", .method = "Echo"}, Mode::kClientStream);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(caller.Send(*stream, std::string(40'000, 'x')).ok());
  caller.CloseSend(*stream);
  kernel::UniqueFd socket = testing::ConnectTo(Path());
  const std::string_view bytes = caller.output().front();
  ASSERT_EQ(::send(socket.get(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(bytes.size()));
  socket.Reset();  // no answer can be written any more
  RunUntil([this] { return echo_ != nullptr && server_->calls() == 0; });
  EXPECT_EQ(echo_->seen.size(), 3U);
  EXPECT_TRUE(echo_->half_closed);
}

TEST_F(ExchangeTest, TheMethodLearnsThatItsCallerHasLeft) {
  Peer peer(loop_, Path());
  Open(peer);
  RunUntil([this] { return echo_ != nullptr; });
  peer.Close();
  RunUntil([this] { return server_->calls() == 0; });
  EXPECT_TRUE(echo_->left);
}

TEST_F(ExchangeTest, WhoBreaksTheRulesHasLeft) {
  Peer peer(loop_, Path());
  const uint32_t stream = Open(peer);
  RunUntil([this] { return echo_ != nullptr; });
  std::string frame;
  const std::string oversize(wire::kMaxFrameBytes + 1, 'x');
  wire::AppendFrame(frame, stream, wire::FrameType::kData, 0, oversize);
  peer.Push(frame);
  RunUntil([this] { return server_->calls() == 0; });
  EXPECT_TRUE(echo_->left);
  EXPECT_EQ(server_->connections(), 1U);
}

TEST_F(ExchangeTest, WhoWaitsIsToldWhenAllIsWritten) {
  Peer peer(loop_, Path());
  const uint32_t stream = Open(peer);
  peer.StopReading();
  Send(peer, stream, std::string(2'000'000, 'x'));
  RunUntil([this] { return echo_ != nullptr && echo_->waits; });
  EXPECT_EQ(echo_->written, 0);
  peer.ReadOn();
  RunUntil([this] { return echo_->written > 0; });
  EXPECT_EQ(echo_->written, 1);
  peer.Close();
}

TEST_F(ExchangeTest, AsACallOfAnotherKindThereIsNoneSuch) {
  Peer peer(loop_, Path());
  peer.Begin("Echo");
  EXPECT_TRUE(
      peer.wire.Start({.service = "test.Service", .method = "Echo"}, Mode::kServerStream).ok());
  peer.Push({});
  RunUntil([&] { return peer.events.size() == 2; });
  for (const wire::ClientEvent& event : peer.events) {
    EXPECT_EQ(event.response.status.code, RpcCode::kUnimplemented);
  }
}

}  // namespace
}  // namespace gantry::shim
