// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "core/kernel/testing/matchers.h"
#include "core/wire/client_connection.h"
#include "core/wire/server_connection.h"

namespace gantry::wire {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;
using ::testing::EndsWith;
using ::testing::SizeIs;
using std::string_literals::operator""s;

std::string Take(OutputQueue& output) {
  std::string bytes(output.front());
  output.Consume(bytes.size());
  return bytes;
}

std::vector<Frame> Frames(const std::string& bytes) {
  FrameParser parser;
  parser.Feed(bytes);
  std::vector<Frame> frames;
  while (auto frame = parser.Next()) frames.push_back(std::move(*frame));
  return frames;
}

std::string FrameBytes(uint32_t stream, FrameType type, uint8_t flags, std::string_view data) {
  std::string bytes;
  AppendFrame(bytes, stream, type, flags, data);
  return bytes;
}

Request Call(std::string method, std::string payload = {}) {
  return {.service = "s", .method = std::move(method), .payload = std::move(payload)};
}

TEST(FrameTest, TheHeaderIsBigEndian) {
  const std::string bytes = FrameBytes(0x01020305, FrameType::kData, 0x5, std::string(0x0102, 'x'));
  EXPECT_EQ(bytes.substr(0, 10), "\x00\x00\x01\x02\x01\x02\x03\x05\x03\x05"s);
  const auto frames = Frames(bytes);
  ASSERT_THAT(frames, SizeIs(1));
  EXPECT_EQ(frames[0].stream, 0x01020305U);
  EXPECT_EQ(frames[0].type, FrameType::kData);
  EXPECT_EQ(frames[0].flags, 5);
  EXPECT_EQ(frames[0].data.size(), 0x0102U);
}

TEST(FrameTest, FramesMayArriveByteByByte) {
  const std::string bytes = FrameBytes(1, FrameType::kRequest, 0, "abc") +
                            FrameBytes(3, FrameType::kData, 0, "") +
                            FrameBytes(5, FrameType::kResponse, 0, std::string(1000, 'y'));
  FrameParser parser;
  std::vector<Frame> frames;
  for (const char byte : bytes) {
    parser.Feed({&byte, 1});
    while (auto frame = parser.Next()) frames.push_back(std::move(*frame));
  }
  ASSERT_THAT(frames, SizeIs(3));
  EXPECT_EQ(frames[0].data, "abc");
  EXPECT_EQ(frames[2].data.size(), 1000U);
  EXPECT_EQ(parser.buffered_bytes(), 0U);
}

TEST(FrameTest, OversizeDataIsDroppedWithoutBeingHeld) {
  FrameParser parser;
  parser.Feed(
      FrameBytes(7, FrameType::kRequest, 0, std::string(kMaxFrameBytes + 1, 'x')).substr(0, 5000));
  EXPECT_FALSE(parser.Next());
  for (size_t left = kMaxFrameBytes + 11 - 5000; left > 0;) {
    const size_t step = std::min<size_t>(left, 65536);
    parser.Feed(std::string(step, 'x'));
    left -= step;
    EXPECT_LT(parser.buffered_bytes(), 100U);
    if (left > 0) {
      EXPECT_FALSE(parser.Next());
    }
  }
  auto frame = parser.Next();
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->oversize);
  EXPECT_EQ(frame->stream, 7U);
  EXPECT_EQ(frame->data, "");
  parser.Feed(FrameBytes(9, FrameType::kRequest, 0, "ok"));
  EXPECT_EQ(parser.Next()->data, "ok");
}

TEST(FrameTest, TheLargestFramePasses) {
  const auto frames = Frames(FrameBytes(1, FrameType::kData, 0, std::string(kMaxFrameBytes, 'x')));
  ASSERT_THAT(frames, SizeIs(1));
  EXPECT_FALSE(frames[0].oversize);
}

TEST(FrameTest, ALengthThatNoPeerSendsBreaksTheInput) {
  FrameParser parser;
  parser.Feed("GET / HTTP/1.1\r\n");
  EXPECT_FALSE(parser.Next());
  EXPECT_TRUE(parser.broken());
  parser.Feed(FrameBytes(1, FrameType::kData, 0, "x"));
  EXPECT_FALSE(parser.Next());
  EXPECT_EQ(parser.buffered_bytes(), 0U);
}

class ClientConnectionTest : public ::testing::Test {
 protected:
  uint32_t Start(ClientConnection::Mode mode = ClientConnection::Mode::kUnary) {
    auto stream = client_.Start(Call("m"), mode);
    EXPECT_THAT(stream, Succeeds());
    Take(client_.output());
    return *stream;
  }
  void Feed(uint32_t stream, FrameType type, uint8_t flags, std::string_view data) {
    client_.Feed(FrameBytes(stream, type, flags, data));
  }
  ClientConnection client_;
};

TEST_F(ClientConnectionTest, StreamsAreOddAndGrow) {
  for (const uint32_t expected : {1U, 3U, 5U}) {
    EXPECT_EQ(*client_.Start(Call("m")), expected);
    const auto frames = Frames(Take(client_.output()));
    ASSERT_THAT(frames, SizeIs(1));
    EXPECT_EQ(frames[0].stream, expected);
    EXPECT_EQ(frames[0].flags, 0);
    EXPECT_EQ(DecodeRequest(frames[0].data)->method, "m");
  }
}

TEST_F(ClientConnectionTest, AnswersArriveInAnyOrder) {
  Start();
  Start();
  Feed(3, FrameType::kResponse, 0, EncodeResponse({.payload = "second"}));
  Feed(1, FrameType::kResponse, 0,
       EncodeResponse({.status = MakeStatus(RpcCode::kNotFound, "x"), .payload = {}}));
  auto first = client_.Next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->stream, 3U);
  EXPECT_EQ(first->response.payload, "second");
  auto second = client_.Next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->response.status.code, RpcCode::kNotFound);
  EXPECT_FALSE(client_.Next());
  EXPECT_EQ(client_.open_calls(), 0U);
}

TEST_F(ClientConnectionTest, AMessageOverTheLimitIsRefusedHereAndNothingIsSent) {
  // The envelope of service and method takes 6 bytes, the payload's own length 5.
  const Request largest = Call("m", std::string(kMaxFrameBytes - 11, 'x'));
  ASSERT_EQ(EncodeRequest(largest).size(), kMaxFrameBytes);
  EXPECT_THAT(client_.Start(Call("m", largest.payload + "x")), FailsWith(EMSGSIZE));
  EXPECT_TRUE(client_.output().empty());
  EXPECT_THAT(client_.Start(largest), Succeeds());
}

TEST_F(ClientConnectionTest, LateAndUnknownAnswersAreDropped) {
  const uint32_t stream = Start();
  client_.Forget(stream);
  Feed(stream, FrameType::kResponse, 0, EncodeResponse({.payload = "late"}));
  Feed(99, FrameType::kResponse, 0, "");
  Feed(2, FrameType::kData, 0, "x");
  EXPECT_FALSE(client_.Next());
  EXPECT_FALSE(client_.broken());
}

TEST_F(ClientConnectionTest, AnOversizeAnswerFailsItsCallAlone) {
  Start();
  Start();
  Feed(1, FrameType::kResponse, 0, std::string(kMaxFrameBytes + 1, 'x'));
  Feed(3, FrameType::kResponse, 0, EncodeResponse({.payload = "ok"}));
  EXPECT_EQ(client_.Next()->response.status.code, RpcCode::kResourceExhausted);
  EXPECT_EQ(client_.Next()->response.payload, "ok");
}

TEST_F(ClientConnectionTest, AnAnswerThatDoesNotDecodeFailsItsCall) {
  Feed(Start(), FrameType::kResponse, 0, "\xff");
  EXPECT_EQ(client_.Next()->response.status.code, RpcCode::kInternal);
}

TEST_F(ClientConnectionTest, StreamsCarryMessagesBothWays) {
  auto started = client_.Start(Call("m"), ClientConnection::Mode::kClientStream);
  ASSERT_THAT(client_.Send(1, "a"), Succeeds());
  ASSERT_THAT(client_.Send(1, ""), Succeeds());
  client_.CloseSend(1);
  client_.CloseSend(1);
  EXPECT_THAT(client_.Send(1, "b"), FailsWith(EPIPE));
  const auto frames = Frames(Take(client_.output()));
  ASSERT_THAT(frames, SizeIs(4));
  EXPECT_EQ(frames[0].flags, kFlagRemoteOpen);
  EXPECT_EQ(frames[1].data, "a");
  EXPECT_EQ(frames[2].flags, 0);
  EXPECT_EQ(frames[3].flags, kFlagRemoteClosed | kFlagNoData);

  Feed(1, FrameType::kData, 0, "");
  Feed(1, FrameType::kData, kFlagRemoteClosed, "last");
  auto event = client_.Next();
  EXPECT_EQ(event->kind, ClientEvent::Kind::kMessage);
  EXPECT_EQ(event->message, "");
  event = client_.Next();
  EXPECT_EQ(event->message, "last");
  EXPECT_EQ(client_.Next()->kind, ClientEvent::Kind::kEnd);
  EXPECT_THAT(client_.Send(1, "b"), FailsWith(ENOENT));
}

TEST_F(ClientConnectionTest, AStreamMayEndInAResponseAndAUnaryCallInAClosingFrame) {
  const uint32_t stream = Start(ClientConnection::Mode::kServerStream);
  Feed(stream, FrameType::kResponse, 0,
       EncodeResponse({.status = MakeStatus(RpcCode::kAborted, "x"), .payload = {}}));
  EXPECT_EQ(client_.Next()->response.status.code, RpcCode::kAborted);
  Feed(Start(), FrameType::kData, kFlagRemoteClosed | kFlagNoData, "");
  auto event = client_.Next();
  EXPECT_EQ(event->kind, ClientEvent::Kind::kResponse);
  EXPECT_TRUE(event->response.status.ok());
}

class ServerConnectionTest : public ::testing::Test {
 protected:
  void Feed(uint32_t stream, FrameType type, uint8_t flags, std::string_view data) {
    server_.Feed(FrameBytes(stream, type, flags, data));
  }
  void FeedCall(uint32_t stream, uint8_t flags = 0) {
    Feed(stream, FrameType::kRequest, flags, EncodeRequest(Call("m", "p")));
  }
  // The only frame that waits to be written, which is a response.
  RpcStatus Answer(uint32_t stream) {
    const auto frames = Frames(Take(server_.output()));
    EXPECT_THAT(frames, SizeIs(1));
    if (frames.size() != 1) return {};
    EXPECT_EQ(frames[0].stream, stream);
    EXPECT_EQ(frames[0].type, FrameType::kResponse);
    EXPECT_EQ(frames[0].flags, 0);
    return DecodeResponse(frames[0].data)->status;
  }
  ServerConnection server_{3};
};

TEST_F(ServerConnectionTest, ACallIsAnsweredOnce) {
  FeedCall(1);
  auto event = server_.Next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, ServerEvent::Kind::kRequest);
  EXPECT_EQ(event->mode, ServerEvent::Mode::kUnary);
  EXPECT_EQ(event->request.payload, "p");
  server_.Respond(1, {});
  EXPECT_TRUE(Answer(1).ok());
  server_.Respond(1, {});
  EXPECT_TRUE(server_.output().empty());
}

TEST_F(ServerConnectionTest, EvenAndOldStreamsAreRefusedAndTheConnectionGoesOn) {
  FeedCall(2);
  EXPECT_FALSE(server_.Next());
  EXPECT_EQ(Answer(2).code, RpcCode::kInvalidArgument);
  FeedCall(5);
  EXPECT_TRUE(server_.Next());
  for (const uint32_t stream : {5U, 3U, 1U}) {
    FeedCall(stream);
    // The call that is open under the reused id is given up with it.
    server_.Next();
    EXPECT_EQ(Answer(stream).code, RpcCode::kInvalidArgument);
  }
  FeedCall(7);
  EXPECT_TRUE(server_.Next());
}

TEST_F(ServerConnectionTest, DataOnAUnaryCallEndsItWithInvalidArgument) {
  FeedCall(1);
  ASSERT_TRUE(server_.Next());
  Feed(1, FrameType::kData, 0, "x");
  EXPECT_EQ(server_.Next()->kind, ServerEvent::Kind::kCancelled);
  EXPECT_EQ(Answer(1).code, RpcCode::kInvalidArgument);
  server_.Respond(1, {});
  EXPECT_TRUE(server_.output().empty());
}

TEST_F(ServerConnectionTest, DataForNoCallIsInvalidArgument) {
  Feed(9, FrameType::kData, 0, "x");
  EXPECT_FALSE(server_.Next());
  EXPECT_EQ(Answer(9).code, RpcCode::kInvalidArgument);
}

TEST_F(ServerConnectionTest, UndecodableAndOversizeRequestsAreAnswered) {
  Feed(1, FrameType::kRequest, 0, "\xff");
  EXPECT_FALSE(server_.Next());
  EXPECT_EQ(Answer(1).code, RpcCode::kInvalidArgument);
  Feed(3, FrameType::kRequest, 0, std::string(kMaxFrameBytes + 1, 'x'));
  EXPECT_FALSE(server_.Next());
  EXPECT_EQ(Answer(3).code, RpcCode::kResourceExhausted);
  FeedCall(5);
  EXPECT_TRUE(server_.Next());
}

TEST_F(ServerConnectionTest, UnknownFrameTypesAreIgnored) {
  Feed(1, static_cast<FrameType>(0), 0, "x");
  Feed(1, static_cast<FrameType>(200), 0, "x");
  EXPECT_FALSE(server_.Next());
  EXPECT_TRUE(server_.output().empty());
}

TEST_F(ServerConnectionTest, CallsBeyondTheBoundAreRefused) {
  for (const uint32_t stream : {1U, 3U, 5U}) FeedCall(stream);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(server_.Next());
  FeedCall(7);
  EXPECT_FALSE(server_.Next());
  EXPECT_EQ(Answer(7).code, RpcCode::kResourceExhausted);
  server_.Respond(1, {});
  Take(server_.output());
  FeedCall(9);
  EXPECT_TRUE(server_.Next());
}

TEST_F(ServerConnectionTest, AnAnswerOverTheLimitBecomesResourceExhausted) {
  FeedCall(1);
  ASSERT_TRUE(server_.Next());
  server_.Respond(1, {.status = {}, .payload = std::string(kMaxFrameBytes, 'x')});
  const RpcStatus status = Answer(1);
  EXPECT_EQ(status.code, RpcCode::kResourceExhausted);
  EXPECT_THAT(status.message, EndsWith(": resource exhausted"));
}

TEST_F(ServerConnectionTest, StreamsCarryMessagesBothWays) {
  FeedCall(1, kFlagRemoteOpen);
  Feed(1, FrameType::kData, 0, "");
  Feed(1, FrameType::kData, kFlagRemoteClosed, "last");
  Feed(1, FrameType::kData, 0, "too late");
  EXPECT_EQ(server_.Next()->mode, ServerEvent::Mode::kClientStream);
  EXPECT_EQ(server_.Next()->message, "");
  EXPECT_EQ(server_.Next()->message, "last");
  EXPECT_EQ(server_.Next()->kind, ServerEvent::Kind::kHalfClose);
  EXPECT_EQ(server_.Next()->kind, ServerEvent::Kind::kCancelled);
  EXPECT_EQ(Answer(1).code, RpcCode::kInvalidArgument);

  FeedCall(3, kFlagRemoteClosed);
  EXPECT_EQ(server_.Next()->mode, ServerEvent::Mode::kServerStream);
  ASSERT_THAT(server_.Send(3, "a"), Succeeds());
  server_.End(3);
  EXPECT_THAT(server_.Send(3, "b"), FailsWith(ENOENT));
  const auto frames = Frames(Take(server_.output()));
  ASSERT_THAT(frames, SizeIs(2));
  EXPECT_EQ(frames[0].data, "a");
  EXPECT_EQ(frames[1].flags, kFlagRemoteClosed | kFlagNoData);
}

TEST_F(ServerConnectionTest, AHalfCloseIsAnEvent) {
  FeedCall(1, kFlagRemoteOpen);
  Feed(1, FrameType::kData, kFlagRemoteClosed | kFlagNoData, "");
  ASSERT_TRUE(server_.Next());
  EXPECT_EQ(server_.Next()->kind, ServerEvent::Kind::kHalfClose);
}

TEST(OutputQueueTest, BytesLeaveInOrderWhateverTheSteps) {
  OutputQueue queue;
  std::string expected;
  std::string got;
  for (int i = 0; i < 2000; ++i) {
    const std::string piece(static_cast<size_t>(i % 97), static_cast<char>('a' + i % 26));
    queue.back() += piece;
    expected += piece;
    const size_t step = std::min<size_t>(queue.size(), static_cast<size_t>(i % 61));
    got += queue.front().substr(0, step);
    queue.Consume(step);
  }
  got += queue.front();
  EXPECT_EQ(got, expected);
}

}  // namespace
}  // namespace gantry::wire
