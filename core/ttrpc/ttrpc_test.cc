// SPDX-License-Identifier: Apache-2.0
// Client against server over real sockets.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/ttrpc/address.h"
#include "core/ttrpc/client.h"
#include "core/ttrpc/rpc_status.h"
#include "core/ttrpc/server.h"
#include "core/wire/server_connection.h"

namespace gantry::ttrpc {
namespace {

using gantry::testing::IsOk;
using gantry::testing::IsOkAndHolds;
using gantry::testing::StatusIs;
using ::testing::EndsWith;
using ::testing::HasSubstr;

using Outcome = absl::StatusOr<std::string>;

// Counts down; waits for the end.
class Countdown {
 public:
  explicit Countdown(int count) : count_(count) {}
  void Tick() {
    base::MutexLock lock(mutex_);
    if (--count_ == 0) changed_.NotifyAll();
  }
  bool Wait() {
    base::MutexLock lock(mutex_);
    while (count_ > 0) {
      if (!changed_.WaitUntil(mutex_, absl::Now() + absl::Seconds(60))) return false;
    }
    return true;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  int count_ ABSL_GUARDED_BY(mutex_);
};

CallOptions To(const std::string& method, absl::Duration limit = absl::Seconds(30)) {
  return {.service = "test.Echo", .method = method, .deadline = absl::Now() + limit};
}

class TtrpcTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_loop_ = *Loop::Start("server");
    client_loop_ = *Loop::Start("client");
  }
  void TearDown() override {
    client_.reset();
    server_.reset();
    held_.clear();
  }

  std::string Path() const { return (dir_.path() / "s.sock").string(); }

  void Serve(ServerOptions options = {}) {
    Services services;
    auto& echo = services["test.Echo"];
    echo["Echo"] = [](const ServerCall&, std::string payload, Responder respond) {
      respond(std::move(payload));
    };
    echo["Namespace"] = [](const ServerCall& call, std::string, Responder respond) {
      const auto value = wire::FindMetadata(call.metadata, kNamespaceKey);
      respond(value ? Outcome(std::string(*value)) : FailedPrecondition("namespace is required"));
    };
    echo["Left"] = [](const ServerCall& call, std::string, Responder respond) {
      respond(absl::FormatDuration(call.deadline - absl::Now()));
    };
    echo["Peer"] = [](const ServerCall& call, std::string, Responder respond) {
      respond(std::to_string(call.peer.pid) + " " + std::to_string(call.peer.uid));
    };
    echo["Big"] = [](const ServerCall&, std::string payload, Responder respond) {
      respond(std::string(std::stoul(payload), 'b'));
    };
    echo["Drop"] = [](const ServerCall&, std::string, Responder) {};
    echo["Hold"] = [this](const ServerCall&, std::string, Responder respond) {
      base::MutexLock lock(mutex_);
      held_.push_back(std::move(respond));
    };
    auto server = Server::Listen(*server_loop_, Path(), std::move(services), std::move(options));
    ASSERT_THAT(server, IsOk());
    server_ = *std::move(server);
  }

  void Dial(ClientOptions options = {}) {
    auto client = Client::Connect(*client_loop_, "unix://" + Path(), std::move(options));
    ASSERT_THAT(client, IsOk());
    client_ = *std::move(client);
  }

  Outcome Call(const std::string& method, std::string payload = {}) {
    return client_->CallAndWait(To(method), std::move(payload));
  }

  // Waits until the server holds `count` calls.
  void WaitForHeld(size_t count) {
    const absl::Time give_up = absl::Now() + absl::Seconds(30);
    while (absl::Now() < give_up) {
      {
        base::MutexLock lock(mutex_);
        if (held_.size() >= count) return;
      }
      std::this_thread::yield();
    }
    FAIL() << "calls did not arrive";
  }

  testing::TempDir dir_;
  std::unique_ptr<Loop> server_loop_;
  std::unique_ptr<Loop> client_loop_;
  base::Mutex mutex_;
  std::vector<Responder> held_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(TtrpcTest, CallsCarryPayloadsMetadataAndCredentials) {
  Serve();
  Dial();
  EXPECT_THAT(Call("Echo", "hello"), IsOkAndHolds("hello"));
  EXPECT_THAT(Call("Echo"), IsOkAndHolds(""));
  CallOptions options = To("Namespace");
  options.metadata = {{kNamespaceKey, "k8s.io"}};
  EXPECT_THAT(client_->CallAndWait(options, ""), IsOkAndHolds("k8s.io"));
  EXPECT_THAT(Call("Peer"),
              IsOkAndHolds(std::to_string(::getpid()) + " " + std::to_string(::geteuid())));
  struct stat info {};
  ASSERT_EQ(::stat(Path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660U);
}

TEST_F(TtrpcTest, ErrorsKeepCodeAndMessage) {
  Serve();
  Dial();
  EXPECT_THAT(Call("Namespace"), StatusIs(absl::StatusCode::kFailedPrecondition,
                                          "namespace is required: failed precondition"));
  EXPECT_THAT(Call("Nothing"), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("Nothing")));
  CallOptions options = To("Echo");
  options.service = "test.Other";
  EXPECT_THAT(client_->CallAndWait(options, ""),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("service test.Other")));
  EXPECT_THAT(Call("Drop"), StatusIs(absl::StatusCode::kInternal));
}

TEST_F(TtrpcTest, TenThousandCallsFromManyThreadsAllComeBack) {
  Serve();
  Dial();
  constexpr int kThreads = 4;
  constexpr int kEach = 2500;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Countdown window(kEach);
      std::atomic<int> open = 0;
      for (int i = 0; i < kEach; ++i) {
        while (open >= 50) std::this_thread::yield();
        ++open;
        const std::string payload = std::to_string(t) + "/" + std::to_string(i);
        client_->Call(To("Echo"), payload, [&, payload](Outcome result) {
          if (result.ok() && *result == payload) ++good;
          --open;
          window.Tick();
        });
      }
      EXPECT_TRUE(window.Wait());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, kThreads * kEach);
}

TEST_F(TtrpcTest, AnswersMayComeInAnyOrder) {
  Serve();
  Dial();
  Countdown done(3);
  std::vector<std::string> order;
  for (int i = 0; i < 3; ++i) {
    client_->Call(To("Hold"), "", [&](Outcome result) {
      order.push_back(*result);
      done.Tick();
    });
  }
  WaitForHeld(3);
  for (const int i : {2, 0, 1}) held_[static_cast<size_t>(i)](std::to_string(i));
  EXPECT_TRUE(done.Wait());
  EXPECT_THAT(order, ::testing::ElementsAre("2", "0", "1"));
}

TEST_F(TtrpcTest, ALateAnswerIsDeadlineExceededAndTheConnectionGoesOn) {
  Serve();
  Dial();
  EXPECT_THAT(client_->CallAndWait(To("Hold", absl::Milliseconds(30)), ""),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  WaitForHeld(1);
  held_[0](std::string("too late"));
  EXPECT_THAT(Call("Echo", "next"), IsOkAndHolds("next"));
  EXPECT_THAT(client_->CallAndWait(To("Echo", absl::Seconds(-1)), ""),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  CallOptions unset = To("Echo");
  unset.deadline = CallOptions().deadline;
  EXPECT_THAT(client_->CallAndWait(unset, ""), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(TtrpcTest, TheDeadlineReachesTheServer) {
  Serve();
  Dial();
  auto left = client_->CallAndWait(To("Left", absl::Seconds(100)), "");
  ASSERT_THAT(left, IsOk());
  absl::Duration parsed;
  ASSERT_TRUE(absl::ParseDuration(*left, &parsed)) << *left;
  EXPECT_GT(parsed, absl::Seconds(60));
  EXPECT_LE(parsed, absl::Seconds(100));
  CallOptions endless = To("Left");
  endless.deadline = absl::InfiniteFuture();
  EXPECT_THAT(client_->CallAndWait(endless, ""), IsOkAndHolds("inf"));
}

TEST_F(TtrpcTest, ACallIsCancelledByItsToken) {
  Serve();
  Dial();
  std::stop_source source;
  CallOptions options = To("Hold");
  options.stop = source.get_token();
  std::promise<Outcome> outcome;
  client_->Call(options, "", [&](Outcome result) { outcome.set_value(std::move(result)); });
  WaitForHeld(1);
  source.request_stop();
  EXPECT_THAT(outcome.get_future().get(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(client_->CallAndWait(options, ""), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(Call("Echo", "next"), IsOkAndHolds("next"));
}

TEST_F(TtrpcTest, CallsOverTheLimitAreRefusedAndOthersNotTouched) {
  Serve();
  Dial({.max_in_flight = 2});
  Countdown done(2);
  for (int i = 0; i < 2; ++i) {
    client_->Call(To("Hold"), "", [&](const Outcome& result) {
      EXPECT_THAT(result, IsOk());
      done.Tick();
    });
  }
  WaitForHeld(2);
  EXPECT_THAT(Call("Echo"), StatusIs(absl::StatusCode::kResourceExhausted));
  for (Responder& respond : held_) respond(std::string());
  EXPECT_TRUE(done.Wait());
  EXPECT_THAT(Call("Echo", "again"), IsOkAndHolds("again"));
}

TEST_F(TtrpcTest, TheServerRefusesCallsOverItsLimit) {
  Serve({.max_open_calls = 2});
  Dial();
  Countdown done(2);
  for (int i = 0; i < 2; ++i) {
    client_->Call(To("Hold"), "", [&](const Outcome&) { done.Tick(); });
  }
  WaitForHeld(2);
  EXPECT_THAT(Call("Echo"),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("too many calls")));
  for (Responder& respond : held_) respond(std::string());
  EXPECT_TRUE(done.Wait());
}

TEST_F(TtrpcTest, MessagesOverTheLimitFailAloneInBothDirections) {
  Serve();
  Dial();
  const std::string largest(wire::kMaxFrameBytes - 100, 'x');
  EXPECT_THAT(Call("Echo", largest), IsOkAndHolds(largest));
  EXPECT_THAT(Call("Echo", std::string(wire::kMaxFrameBytes, 'x')),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Call("Big", std::to_string(wire::kMaxFrameBytes)),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Call("Echo", "next"), IsOkAndHolds("next"));
}

TEST_F(TtrpcTest, ALostServerEndsEveryCallAndIsToldOnce) {
  Serve();
  std::atomic<int> disconnects = 0;
  Countdown gone(1);
  Dial({.on_disconnect = [&] {
    ++disconnects;
    gone.Tick();
  }});
  Countdown done(10);
  for (int i = 0; i < 10; ++i) {
    client_->Call(To("Hold"), "", [&](const Outcome& result) {
      EXPECT_TRUE(IsClosed(result.status())) << result.status();
      EXPECT_EQ(disconnects, 0) << "calls end first";
      done.Tick();
    });
  }
  WaitForHeld(10);
  server_.reset();
  EXPECT_TRUE(done.Wait());
  EXPECT_TRUE(gone.Wait());
  EXPECT_FALSE(client_->connected());
  EXPECT_THAT(Call("Echo"), StatusIs(absl::StatusCode::kUnknown, EndsWith("ttrpc: closed")));
  client_.reset();
  EXPECT_EQ(disconnects, 1);
  EXPECT_NE(::access(Path().c_str(), F_OK), 0) << "the socket is removed";
}

TEST_F(TtrpcTest, ClosingTheClientEndsItsCallsBeforeItReturns) {
  Serve();
  int ended = 0;
  bool disconnected = false;
  Dial({.on_disconnect = [&] { disconnected = true; }});
  for (int i = 0; i < 5; ++i) client_->Call(To("Hold"), "", [&](const Outcome&) { ++ended; });
  client_.reset();
  EXPECT_EQ(ended, 5);
  EXPECT_TRUE(disconnected);
}

TEST_F(TtrpcTest, AClientMayDieInItsOwnCallback) {
  Serve();
  Dial();
  std::atomic<int> ended = 0;
  Countdown done(3);
  for (int i = 0; i < 2; ++i) {
    client_->Call(To("Hold"), "", [&](const Outcome& result) {
      EXPECT_TRUE(IsClosed(result.status()));
      ++ended;
      done.Tick();
    });
  }
  client_->Call(To("Echo"), "", [&](const Outcome&) {
    client_->Call(To("Echo"), "", [&](const Outcome&) { ++ended; });
    client_.reset();
    EXPECT_EQ(ended, 3) << "all callbacks ran before the destructor returned";
    done.Tick();
  });
  EXPECT_TRUE(done.Wait());
}

TEST_F(TtrpcTest, AnAnswerAfterTheServerIsGoneIsDropped) {
  Serve();
  Dial();
  client_->Call(To("Hold"), "", [](const Outcome&) {});
  WaitForHeld(1);
  server_.reset();
  held_[0](std::string("x"));
  server_loop_->RunAndWait([] {});
}

TEST_F(TtrpcTest, PeersThatAreNotAdmittedAreClosedWithoutAWord) {
  Serve({.admit = [](const Peer& peer) { return peer.uid != ::geteuid(); }});
  Dial();
  EXPECT_TRUE(IsClosed(Call("Echo").status()));
}

TEST_F(TtrpcTest, ConnectionsOverTheLimitAreClosed) {
  Serve({.max_connections = 1});
  Dial();
  EXPECT_THAT(Call("Echo", "x"), IsOkAndHolds("x"));
  auto second = Client::Connect(*client_loop_, "unix://" + Path());
  ASSERT_THAT(second, IsOk());
  EXPECT_TRUE(IsClosed((*second)->CallAndWait(To("Echo"), "").status()));
  EXPECT_THAT(Call("Echo", "x"), IsOkAndHolds("x"));
}

// A connection by hand.
class RawTtrpcTest : public TtrpcTest {
 protected:
  kernel::UniqueFd Socket() {
    auto socket = DialAddress("unix://" + Path());
    EXPECT_THAT(socket, IsOk());
    if (!socket.ok()) return {};
    ::fcntl(socket->get(), F_SETFL, 0);
    return *std::move(socket);
  }

  static std::string CallBytes(uint32_t stream, const std::string& method, std::string payload) {
    std::string bytes;
    wire::AppendFrame(
        bytes, stream, wire::FrameType::kRequest, 0,
        wire::EncodeRequest(
            {.service = "test.Echo", .method = method, .payload = std::move(payload)}));
    return bytes;
  }

  static wire::Frame ReadFrame(int socket) {
    wire::FrameParser parser;
    while (true) {
      if (auto frame = parser.Next()) return *std::move(frame);
      char byte = 0;
      if (::recv(socket, &byte, 1, 0) != 1) return {};
      parser.Feed({&byte, 1});
    }
  }
};

TEST_F(RawTtrpcTest, ANegativeTimeoutMeansExpired) {
  Serve();
  const auto socket = Socket();
  std::string bytes;
  wire::AppendFrame(
      bytes, 1, wire::FrameType::kRequest, 0,
      wire::EncodeRequest({.service = "test.Echo", .method = "Left", .timeout_nano = -1}));
  ASSERT_EQ(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
  const auto response = wire::DecodeResponse(ReadFrame(socket.get()).data);
  ASSERT_TRUE(response);
  EXPECT_THAT(response->payload, ::testing::StartsWith("-"));
}

TEST_F(RawTtrpcTest, APeerThatWritesWithoutReadingIsHeldBackAndServedLater) {
  constexpr size_t kAnswer = 100'000;
  Serve({.max_output_bytes = 1UL << 20});
  const auto socket = Socket();
  std::string all;
  constexpr uint32_t kCalls = 400;
  for (uint32_t i = 0; i < kCalls; ++i) {
    all += CallBytes(2 * i + 1, "Big", std::to_string(kAnswer));
    all += CallBytes(2 * i + 2, "Big", std::string(20'000, ' '));  // refused: an even stream
  }
  std::thread writer([&] {
    for (std::string_view rest = all; !rest.empty();) {
      const ssize_t done = ::send(socket.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      ASSERT_GT(done, 0);
      rest.remove_prefix(static_cast<size_t>(done));
    }
  });
  // Others are served meanwhile.
  Dial();
  for (int i = 0; i < 50; ++i) EXPECT_THAT(Call("Echo", "x"), IsOkAndHolds("x"));
  wire::FrameParser parser;
  uint32_t answers = 0;
  std::vector<char> buffer(65536);
  while (answers < 2 * kCalls) {
    const ssize_t got = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    ASSERT_GT(got, 0);
    parser.Feed({buffer.data(), static_cast<size_t>(got)});
    while (parser.Next()) ++answers;
  }
  writer.join();
}

TEST_F(RawTtrpcTest, WhatIsNoTtrpcIsDisconnected) {
  Serve();
  const auto socket = Socket();
  ASSERT_EQ(::send(socket.get(), "GET / HTTP/1.1\r\n", 16, MSG_NOSIGNAL), 16);
  char byte = 0;
  EXPECT_EQ(::recv(socket.get(), &byte, 1, 0), 0);
  Dial();
  EXPECT_THAT(Call("Echo", "x"), IsOkAndHolds("x"));
}

TEST_F(RawTtrpcTest, AClientSurvivesAServerThatAnswersNonsense) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  auto client = Client::Adopt(*client_loop_, kernel::UniqueFd(ends[0]));
  ASSERT_THAT(client, IsOk());
  const kernel::UniqueFd theirs(ends[1]);
  std::promise<Outcome> outcome;
  (*client)->Call(To("Echo"), "", [&](Outcome result) { outcome.set_value(std::move(result)); });
  ReadFrame(theirs.get());
  std::string nonsense;
  wire::AppendFrame(nonsense, 77, wire::FrameType::kResponse, 0, "x");
  wire::AppendFrame(nonsense, 1, static_cast<wire::FrameType>(9), 7, "x");
  wire::AppendFrame(nonsense, 1, wire::FrameType::kData, 0, "x");
  nonsense += std::string(10, '\xff');
  ASSERT_EQ(::send(theirs.get(), nonsense.data(), nonsense.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(nonsense.size()));
  EXPECT_TRUE(IsClosed(outcome.get_future().get().status()));
}

TEST_F(RawTtrpcTest, APeerThatDoesNotReadCostsABoundedAmountOfMemory) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  auto client = Client::Adopt(*client_loop_, kernel::UniqueFd(ends[0]),
                              {.max_in_flight = 1000, .max_output_bytes = 1 << 20});
  ASSERT_THAT(client, IsOk());
  const kernel::UniqueFd theirs(ends[1]);
  std::atomic<int> refused = 0;
  for (int i = 0; i < 20; ++i) {
    (*client)->Call(To("Echo"), std::string(1 << 20, 'x'), [&](const Outcome& result) {
      if (result.status().code() == absl::StatusCode::kResourceExhausted) ++refused;
    });
  }
  client_loop_->RunAndWait([] {});
  EXPECT_GE(refused, 15);
}

TEST(AddressTest, AddressesAreTold) {
  const testing::TempDir dir;
  const std::string path = (dir.path() / "s").string();
  EXPECT_THAT(DialAddress("unix://" + path), StatusIs(absl::StatusCode::kNotFound));
  {
    auto listener = ListenUnix(path, 0600);
    ASSERT_THAT(listener, IsOk());
    EXPECT_THAT(DialAddress("unix://" + path), IsOk());
    EXPECT_THAT(ListenUnix(path, 0600), StatusIs(absl::StatusCode::kAlreadyExists));
  }
  EXPECT_THAT(DialAddress("unix://" + path), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(ListenUnix(path, 0600), IsOk()) << "a stale socket is replaced";
  EXPECT_THAT(ListenUnix("/" + std::string(104, 'x'), 0600),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DialAddress("unix://" + std::string(200, 'x')),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DialAddress("no-such-abstract-name"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(DialAddress("vsock://x:1"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DialAddress("hvsock:///x:1"), StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(DialAddress("tcp://x:1"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(AddressTest, ANameWithoutASchemeIsAbstract) {
  const kernel::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const std::string name = "/gantry-test-" + std::to_string(::getpid());
  struct {
    sa_family_t family = AF_UNIX;
    char path[108] = {};
  } address;
  name.copy(address.path + 1, name.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(sizeof(sa_family_t) + 1 + name.size())),
            0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_THAT(DialAddress(name), IsOk());
}

}  // namespace
}  // namespace gantry::ttrpc
