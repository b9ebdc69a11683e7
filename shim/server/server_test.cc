// SPDX-License-Identifier: Apache-2.0
#include "shim/server/server.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <limits>

#include "core/kernel/testing/matchers.h"
#include "core/wire/ttrpc_frame.h"
#include "shim/loop/wait.h"
#include "shim/server/testing/peer.h"

namespace gantry::shim {
namespace {

using gantry::testing::Succeeds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Peer;
using wire::RpcCode;

Co<Answer> Echo(Call call) { co_return std::move(call.payload); }
Co<Answer> Namespace(Call call) { co_return std::move(call.ns); }

Co<Answer> TimeLeft(Call call) {
  if (call.deadline == kNever) co_return "none";
  co_return call.deadline <= Clock::now() ? "expired" : "some";
}

Co<Answer> Refuse(Call /*call*/) {
  co_return wire::MakeStatus(RpcCode::kFailedPrecondition, "it runs");
}

Co<Answer> Sleepy(Loop& loop, Call call) {
  co_await Sleep(loop, milliseconds(std::stoi(call.payload)));
  co_return std::move(call.payload);
}

Co<Answer> Gated(Event& gate, int& done, Call /*call*/) {
  co_await gate.Wait();
  ++done;
  co_return "late";
}

class ServerTest : public testing::LoopFixture {
 protected:
  ServerTest() {
    methods_["Echo"] = Echo;
    methods_["Namespace"] = Namespace;
    methods_["TimeLeft"] = TimeLeft;
    methods_["Refuse"] = Refuse;
    methods_["Sleep"] = [this](Call call) { return Sleepy(loop_, std::move(call)); };
    methods_["Gated"] = [this](Call call) { return Gated(gate_, gated_, std::move(call)); };
    methods_["Stop"] = [this](Call) { return StopListening(*server_); };
    Listen({.ns = "own", .on_change = [this] { ++changes_; }});
  }
  ~ServerTest() override {
    gate_.Set();
    if (server_) RunUntil([this] { return server_->calls() == 0; });
  }

  static Co<Answer> StopListening(Server& server) {
    server.StopListening();
    co_return "stopped";
  }

  void Listen(ServerOptions options) {
    server_.reset();
    auto socket = ListeningSocket::Bind(Path());
    ASSERT_THAT(socket, Succeeds());
    auto server = Server::Create(loop_, *std::move(socket), std::move(options));
    ASSERT_THAT(server, Succeeds());
    server_ = *std::move(server);
    server_->Register("test.Service", methods_);
    server_->Register("test.Other", methods_);
  }

  wire::Response Answered(Peer& peer, uint32_t stream) {
    RunUntil([&] { return peer.EventOf(stream) != nullptr; });
    const wire::ClientEvent* event = peer.EventOf(stream);
    return event != nullptr ? event->response : wire::Response();
  }
  wire::Response Do(Peer& peer, const std::string& method, std::string payload = {}) {
    return Answered(peer, peer.Begin(method, std::move(payload)));
  }
  wire::Response Ask(Peer& peer, const wire::Request& request) {
    return Answered(peer, peer.Begin(request));
  }
  // The response that came for a stream which the client does not know.
  wire::Response RawResponse(Peer& peer, uint32_t stream) {
    wire::Response response;
    RunUntil([&] {
      wire::FrameParser parser;
      parser.Feed(peer.raw);
      while (auto frame = parser.Next()) {
        if (frame->stream != stream) continue;
        response = wire::DecodeResponse(frame->data).value_or(wire::Response());
        return true;
      }
      return false;
    });
    return response;
  }

  Event gate_{loop_};
  int gated_ = 0;
  int changes_ = 0;
  Methods methods_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersACall) {
  Peer peer(loop_, Path());
  const wire::Response response = Do(peer, "Echo", "hello");
  EXPECT_TRUE(response.status.ok());
  EXPECT_EQ(response.payload, "hello");
  EXPECT_EQ(Do(peer, "Echo", "").payload, "");
}

TEST_F(ServerTest, SameMethodsUnderTwoServices) {
  Peer peer(loop_, Path());
  EXPECT_EQ(Ask(peer, {.service = "test.Other", .method = "Echo", .payload = "x"}).payload, "x");
  EXPECT_EQ(Ask(peer, {.service = "test.Service", .method = "Echo", .payload = "y"}).payload, "y");
}

TEST_F(ServerTest, UnknownServiceAndMethodAreUnimplemented) {
  Peer peer(loop_, Path());
  wire::RpcStatus status = Ask(peer, {.service = "no.Such", .method = "Echo"}).status;
  EXPECT_EQ(status.code, RpcCode::kUnimplemented);
  EXPECT_EQ(status.message, "service no.Such");
  status = Do(peer, "Missing").status;
  EXPECT_EQ(status.code, RpcCode::kUnimplemented);
  EXPECT_EQ(status.message, "method Missing");
  EXPECT_TRUE(Do(peer, "Echo").status.ok());
}

TEST_F(ServerTest, AStatusComesWithItsClassText) {
  Peer peer(loop_, Path());
  const wire::RpcStatus status = Do(peer, "Refuse").status;
  EXPECT_EQ(status.code, RpcCode::kFailedPrecondition);
  EXPECT_EQ(status.message, "it runs: failed precondition");
}

TEST_F(ServerTest, TheNamespaceIsTheCallersOrTheServersOwn) {
  Peer peer(loop_, Path());
  EXPECT_EQ(Do(peer, "Namespace").payload, "own");
  wire::Request request{.service = "test.Service", .method = "Namespace"};
  request.metadata = {{"Containerd-Namespace-TTRPC", "moby"}};
  EXPECT_EQ(Ask(peer, request).payload, "moby");
  request.metadata = {{"containerd-namespace-ttrpc", ""}};
  EXPECT_EQ(Ask(peer, request).payload, "own");
}

TEST_F(ServerTest, ATimeoutBelowZeroHasExpiredAndZeroIsNone) {
  Peer peer(loop_, Path());
  wire::Request request{.service = "test.Service", .method = "TimeLeft"};
  EXPECT_EQ(Ask(peer, request).payload, "none");
  request.timeout_nano = -5;
  EXPECT_EQ(Ask(peer, request).payload, "expired");
  request.timeout_nano = 60'000'000'000;
  EXPECT_EQ(Ask(peer, request).payload, "some");
  request.timeout_nano = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Ask(peer, request).payload, "none");
}

TEST_F(ServerTest, ThousandCallsAtOnceAreAnsweredOutOfOrder) {
  Peer peer(loop_, Path());
  std::map<uint32_t, std::string> expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string payload = std::to_string((1000 - i) / 20);
    expected[peer.Begin("Sleep", payload)] = payload;
  }
  RunUntil([&] { return peer.events.size() == 1000; });
  bool in_order = true;
  uint32_t last = 0;
  for (const wire::ClientEvent& event : peer.events) {
    EXPECT_EQ(event.response.payload, expected[event.stream]);
    expected.erase(event.stream);
    in_order = in_order && event.stream > last;
    last = event.stream;
  }
  EXPECT_TRUE(expected.empty());
  EXPECT_FALSE(in_order);
}

TEST_F(ServerTest, CallsBeyondTheLimitAreRefused) {
  Listen({.ns = "own", .max_calls = 2});
  Peer peer(loop_, Path());
  const uint32_t first = peer.Begin("Gated");
  peer.Begin("Gated");
  EXPECT_EQ(Do(peer, "Echo").status.code, RpcCode::kResourceExhausted);
  gate_.Set();
  EXPECT_EQ(Answered(peer, first).payload, "late");
  EXPECT_TRUE(Do(peer, "Echo").status.ok());
}

TEST_F(ServerTest, TheLargestMessagePassesBothWays) {
  Peer peer(loop_, Path());
  const std::string big(wire::kMaxFrameBytes - 64, 'x');
  EXPECT_EQ(Do(peer, "Echo", big).payload.size(), big.size());
  EXPECT_TRUE(Do(peer, "Echo").status.ok());
}

TEST_F(ServerTest, AnOversizedFrameIsRefusedAndTheNextCallServed) {
  Peer peer(loop_, Path());
  const std::string data(wire::kMaxFrameBytes + 1, 'x');
  std::string frame;
  wire::AppendFrame(frame, 1, wire::FrameType::kRequest, 0, data);
  peer.Push(frame);
  EXPECT_EQ(RawResponse(peer, 1).status.code, RpcCode::kResourceExhausted);
  std::string next;
  wire::AppendFrame(
      next, 3, wire::FrameType::kRequest, 0,
      wire::EncodeRequest({.service = "test.Service", .method = "Echo", .payload = "on"}));
  peer.Push(next);
  EXPECT_EQ(RawResponse(peer, 3).payload, "on");
}

TEST_F(ServerTest, BrokenStreamIdsAndEnvelopesAreInvalidAndTheConnectionStays) {
  Peer peer(loop_, Path());
  EXPECT_TRUE(Do(peer, "Echo").status.ok());
  EXPECT_TRUE(Do(peer, "Echo").status.ok());
  std::string frames;
  const std::string request = wire::EncodeRequest({.service = "test.Service", .method = "Echo"});
  wire::AppendFrame(frames, 2, wire::FrameType::kRequest, 0, request);
  peer.Push(frames);
  EXPECT_EQ(RawResponse(peer, 2).status.code, RpcCode::kInvalidArgument);
  frames.clear();
  peer.raw.clear();
  wire::AppendFrame(frames, 1, wire::FrameType::kRequest, 0, request);
  peer.Push(frames);
  EXPECT_EQ(RawResponse(peer, 1).status.code, RpcCode::kInvalidArgument);
  frames.clear();
  wire::AppendFrame(frames, 5, wire::FrameType::kRequest, 0, "\xff\xff");
  peer.Push(frames);
  EXPECT_EQ(RawResponse(peer, 5).status.code, RpcCode::kInvalidArgument);
  frames.clear();
  wire::AppendFrame(frames, 7, wire::FrameType::kRequest, 0, request);
  peer.Push(frames);
  EXPECT_TRUE(RawResponse(peer, 7).status.ok());
}

TEST_F(ServerTest, DataOnAUnaryCallIsInvalidAndTheServerLives) {
  Peer peer(loop_, Path());
  const uint32_t stream = peer.Begin("Gated");
  RunUntil([&] { return server_->calls() == 1; });
  std::string frame;
  wire::AppendFrame(frame, stream, wire::FrameType::kData, 0, "data");
  peer.Push(frame);
  EXPECT_EQ(RawResponse(peer, stream).status.code, RpcCode::kInvalidArgument);
  gate_.Set();
  RunUntil([&] { return gated_ == 1; });
  EXPECT_TRUE(Do(peer, "Echo").status.ok());
}

TEST_F(ServerTest, AMethodRunsToItsEndThoughItsCallerHasGone) {
  Peer peer(loop_, Path());
  peer.Begin("Gated");
  RunUntil([&] { return server_->calls() == 1; });
  peer.Close();
  RunUntil([&] { return server_->connections() == 0; });
  EXPECT_EQ(server_->calls(), 1U);
  gate_.Set();
  RunUntil([&] { return server_->calls() == 0; });
  EXPECT_EQ(gated_, 1);
  Peer other(loop_, Path());
  EXPECT_EQ(Do(other, "Echo", "x").payload, "x");
}

TEST_F(ServerTest, TheNameIsFreeBeforeTheCallThatStopsIsAnswered) {
  Peer peer(loop_, Path());
  const uint32_t stream = peer.Begin("Stop");
  RunUntil([&] { return server_->path().empty(); });
  EXPECT_NE(::access(Path().c_str(), F_OK), 0);
  EXPECT_FALSE(Peer(loop_, Path()).connected());
  const auto successor = ListeningSocket::Bind(Path());
  EXPECT_THAT(successor, Succeeds());
  EXPECT_EQ(Answered(peer, stream).payload, "stopped");
  // Who is connected stays so.
  EXPECT_EQ(Do(peer, "Echo", "x").payload, "x");
}

TEST_F(ServerTest, WhoConnectsAndCallsNothingIsRemembered) {
  EXPECT_EQ(server_->LastLook(), Time::min());
  Time before = Clock::now();
  { const kernel::UniqueFd looks = testing::ConnectTo(Path()); }
  EXPECT_GE(server_->LastLook(), before);  // before its connection was accepted
  RunUntil([this] { return server_->connections() == 0; });
  const Time last = server_->LastLook();
  EXPECT_GE(last, before);

  before = Clock::now();
  Peer peer(loop_, Path());
  EXPECT_GE(server_->LastLook(), before);
  Do(peer, "Echo");
  EXPECT_EQ(server_->LastLook(), last);
}

TEST_F(ServerTest, ChangesAreTold) {
  {
    Peer peer(loop_, Path());
    RunUntil([&] { return server_->connections() == 1; });
    EXPECT_EQ(changes_, 1);
    EXPECT_EQ(Do(peer, "Echo").payload, "");
    EXPECT_EQ(changes_, 2);
  }
  RunUntil([&] { return server_->connections() == 0; });
  EXPECT_EQ(changes_, 3);
}

Co<void> FlushInto(Server& server, Time deadline, std::optional<bool>& result) {
  result = co_await server.Flush(deadline);
}

TEST_F(ServerTest, FlushWaitsForOutputThatThePeerHasNotTaken) {
  Peer peer(loop_, Path());
  peer.StopReading();
  peer.Begin("Echo", std::string(4'000'000, 'x'));
  RunUntil([&] { return changes_ == 2; });
  std::optional<bool> flushed;
  Start(FlushInto(*server_, Clock::now() + milliseconds(20), flushed));
  RunUntil([&] { return flushed.has_value(); });
  EXPECT_EQ(flushed, false);
  flushed.reset();
  Start(FlushInto(*server_, Clock::now() + seconds(30), flushed));
  EXPECT_FALSE(flushed.has_value());
  peer.ReadOn();
  RunUntil([&] { return flushed.has_value(); });
  EXPECT_EQ(flushed, true);
}

TEST_F(ServerTest, AMethodLearnsThatItsCallerHasLeft) {
  std::shared_ptr<Caller> caller;
  methods_["Who"] = [&](Call call) {
    caller = call.caller;
    return Gated(gate_, gated_, std::move(call));
  };
  Peer peer(loop_, Path());
  Peer other(loop_, Path());
  peer.Begin("Who");
  RunUntil([&] { return caller != nullptr; });
  int told = 0;
  const CallerWatch watch(caller, [&] { ++told; });
  {
    const CallerWatch forgotten(caller, [&] { told += 100; });
  }
  other.Close();
  RunUntil([this] { return server_->connections() == 1; });
  EXPECT_FALSE(caller->gone());
  peer.Close();
  RunUntil([&] { return told > 0; });
  EXPECT_TRUE(caller->gone());
  const CallerWatch late(caller, [&] { told += 10; });
  EXPECT_EQ(told, 11);
}

// As many numbers as it is asked for, then a good end, or after "!" an error.
Co<wire::RpcStatus> Count(Call call, MessageStream& stream) {
  const int count = std::atoi(call.payload.c_str());
  for (int i = 0; i < count; ++i) {
    const bool sent = stream.Send(std::to_string(i));
    if (!sent) co_return wire::MakeStatus(RpcCode::kCanceled, "nobody is there");
    co_await stream.Written();
  }
  if (call.payload.ends_with('!')) co_return wire::MakeStatus(RpcCode::kDataLoss, "no more");
  co_return wire::RpcStatus{};
}

TEST_F(ServerTest, AStreamBringsManyMessages) {
  const StreamMethods streams = {{"Count", Count}};
  server_->RegisterStreams("test.Service", streams);
  Peer peer(loop_, Path());
  const auto count = [&](const std::string& payload) {
    peer.events.clear();
    const auto stream =
        peer.wire.Start({.service = "test.Service", .method = "Count", .payload = payload},
                        wire::ClientConnection::Mode::kServerStream);
    peer.Push({});
    RunUntil([&] {
      return !peer.events.empty() && peer.events.back().kind != wire::ClientEvent::Kind::kMessage;
    });
    std::string text;
    for (const wire::ClientEvent& event : peer.events) {
      EXPECT_EQ(event.stream, *stream);
      text += event.message + ",";
      if (event.kind == wire::ClientEvent::Kind::kResponse) text += event.response.status.message;
    }
    return text;
  };
  EXPECT_EQ(count("3"), "0,1,2,,");
  EXPECT_EQ(count("0"), ",");
  EXPECT_EQ(count("1!"), "0,,no more: data loss");
  // As a unary call there is none such.
  EXPECT_EQ(Do(peer, "Count", "3").status.code, RpcCode::kUnimplemented);
  EXPECT_TRUE(Do(peer, "Echo").status.ok());
  EXPECT_EQ(server_->calls(), 0U);
}

TEST_F(ServerTest, AStreamToOneWhoDoesNotReadWaitsAndEndsWithTheConnection) {
  const StreamMethods streams = {{"Count", Count}};
  server_->RegisterStreams("test.Service", streams);
  Peer peer(loop_, Path());
  peer.StopReading();
  ASSERT_TRUE(peer.wire
                  .Start({.service = "test.Service", .method = "Count", .payload = "10000000"},
                         wire::ClientConnection::Mode::kServerStream)
                  .ok());
  peer.Push({});
  RunUntil([this] { return server_->calls() == 1; });
  const Time end = Clock::now() + milliseconds(300);
  RunUntil([end] { return Clock::now() > end; });
  EXPECT_EQ(server_->calls(), 1U);
  Peer other(loop_, Path());
  EXPECT_TRUE(Do(other, "Echo").status.ok());
  peer.Close();
  RunUntil([this] { return server_->calls() == 0; });
}

}  // namespace
}  // namespace gantry::shim
