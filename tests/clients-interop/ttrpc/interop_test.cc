// SPDX-License-Identifier: Apache-2.0
// Client and server against the official Go library, in both roles. GANTRY_TTRPC_PEER names the
// built Go program; ttrpc_interop.sh sets it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <thread>

#include "core/base/status.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/command.h"
#include "core/kernel/subprocess.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"
#include "core/ttrpc/address.h"
#include "core/ttrpc/client.h"
#include "core/ttrpc/rpc_status.h"
#include "core/ttrpc/server.h"
#include "core/wire/client_connection.h"
#include "core/wire/proto_reader.h"
#include "core/wire/proto_writer.h"
#include "core/wire/server_connection.h"

namespace gantry::ttrpc {
namespace {

using gantry::testing::IsOk;
using gantry::testing::IsOkAndHolds;
using gantry::testing::StatusIs;
using gantry::testing::Succeeds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kService[] = "gantry.test.Echo";

// google.protobuf.StringValue.
std::string Wrap(std::string_view text) {
  std::string bytes;
  wire::ProtoWriter(bytes).PutString(1, text);
  return bytes;
}

std::string Unwrap(std::string_view bytes) {
  std::string text;
  wire::ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) reader.Read(text);
  }
  return text;
}

class InteropTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* peer = std::getenv("GANTRY_TTRPC_PEER");
    if (peer == nullptr) return gantry::testing::SkipFor("GANTRY_TTRPC_PEER");
    peer_ = peer;
    loop_ = *Loop::Start("test");
  }

  std::string Path() const { return (dir_.path() / "s.sock").string(); }

  // Runs the Go client and expects all its checks to pass.
  void ExpectChecksPass(const std::string& mode) {
    auto ran = kernel::RunCommand({.program = peer_, .arguments = {"peer", mode, Path()}}, {},
                                  {.timeout_ms = 120'000});
    ASSERT_THAT(ran, Succeeds());
    EXPECT_TRUE(ran->status.success()) << ran->output << ran->errors;
  }

  // Starts the Go server; ready when this returns.
  void ServeGo() {
    kernel::SpawnOptions options{.program = peer_, .arguments = {"peer", "serve", Path()}};
    options.stdio = {kernel::Stdio::Null(), kernel::Stdio::Pipe(), kernel::Stdio::Inherit()};
    auto spawned = kernel::Subprocess::Spawn(options);
    ASSERT_THAT(spawned, Succeeds());
    server_.emplace(std::move(*spawned));
    const kernel::UniqueFd out = server_->TakePipe(1);
    std::array<char, 6> line{};
    ASSERT_EQ(::read(out.get(), line.data(), line.size()), 6);
  }

  testing::TempDir dir_;
  std::string peer_;
  std::unique_ptr<Loop> loop_;
  std::optional<kernel::Subprocess> server_;
};

// The server's methods, as the Go program has them.
Services EchoServices() {
  Services services;
  auto& echo = services[kService];
  echo["Echo"] = [](const ServerCall&, std::string payload, Responder respond) {
    respond(Wrap(Unwrap(payload)));
  };
  echo["Nothing"] = [](const ServerCall&, std::string, Responder respond) { respond(""); };
  echo["Namespace"] = [](const ServerCall& call, std::string, Responder respond) {
    respond(Wrap(wire::FindMetadata(call.metadata, kNamespaceKey).value_or("")));
  };
  echo["Fail"] = [](const ServerCall&, std::string payload, Responder respond) {
    const std::string text = Unwrap(payload);
    const size_t space = text.find(' ');
    respond(absl::Status(static_cast<absl::StatusCode>(std::stoi(text)), text.substr(space + 1)));
  };
  echo["Left"] = [](const ServerCall& call, std::string, Responder respond) {
    respond(Wrap(std::to_string(absl::ToInt64Milliseconds(call.deadline - absl::Now()))));
  };
  echo["Big"] = [](const ServerCall&, std::string payload, Responder respond) {
    respond(Wrap(std::string(std::stoul(Unwrap(payload)), 'b')));
  };
  auto held = std::make_shared<std::deque<Responder>>();
  echo["Sleep"] = [held](const ServerCall&, std::string, Responder respond) {
    held->push_back(std::move(respond));
  };
  return services;
}

TEST_F(InteropTest, TheGoClientCallsOurServer) {
  auto server = Server::Listen(*loop_, Path(), EchoServices());
  ASSERT_THAT(server, IsOk());
  ExpectChecksPass("call");
}

class GoServerTest : public InteropTest {
 protected:
  void SetUp() override {
    InteropTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ServeGo();
    auto client = Client::Connect(*loop_, "unix://" + Path());
    ASSERT_THAT(client, IsOk());
    client_ = *std::move(client);
  }

  static CallOptions To(const std::string& method, absl::Duration limit = absl::Seconds(30)) {
    return {.service = kService, .method = method, .deadline = absl::Now() + limit};
  }
  absl::StatusOr<std::string> Call(const std::string& method, std::string_view text) {
    auto payload = client_->CallAndWait(To(method), Wrap(text));
    if (!payload.ok()) return payload;
    return Unwrap(*payload);
  }

  std::unique_ptr<Client> client_;
};

TEST_F(GoServerTest, CallsAndErrorsComeThrough) {
  EXPECT_THAT(Call("Echo", "hello"), IsOkAndHolds("hello"));
  EXPECT_THAT(Call("Echo", ""), IsOkAndHolds(""));
  EXPECT_THAT(Call("Nothing", ""), IsOkAndHolds(""));
  EXPECT_THAT(Call("Namespace", ""),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("namespace is required")));
  CallOptions options = To("Namespace");
  options.metadata = {{kNamespaceKey, "moby"}};
  auto name = client_->CallAndWait(options, "");
  ASSERT_THAT(name, IsOk());
  EXPECT_EQ(Unwrap(*name), "moby");
  for (int code = 1; code <= 16; ++code) {
    EXPECT_THAT(Call("Fail", std::to_string(code) + " it broke"),
                StatusIs(static_cast<absl::StatusCode>(code), HasSubstr("it broke")));
  }
  EXPECT_THAT(Call("Missing", ""), StatusIs(absl::StatusCode::kUnimplemented));
  options = To("Echo");
  options.service = "gantry.test.Nothing";
  EXPECT_THAT(client_->CallAndWait(options, ""), StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(client_->CallAndWait(To("Echo"), "\xff"), StatusIs(absl::StatusCode::kInternal));
}

TEST_F(GoServerTest, DeadlinesAreCarriedAndKept) {
  auto left = Call("Left", "");
  ASSERT_THAT(left, IsOk());
  EXPECT_GT(std::stoi(*left), 10'000);
  EXPECT_LE(std::stoi(*left), 30'000);
  EXPECT_THAT(client_->CallAndWait(To("Sleep", absl::Milliseconds(50)), ""),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  CallOptions endless = To("Left");
  endless.deadline = absl::InfiniteFuture();
  auto none = client_->CallAndWait(endless, "");
  ASSERT_THAT(none, IsOk());
  EXPECT_EQ(Unwrap(*none), "none");
}

TEST_F(GoServerTest, LargeMessagesPassAndAnAnswerOverTheLimitEndsTheCall) {
  const std::string big((4UL << 20) - 200, 'x');
  EXPECT_THAT(Call("Echo", big), IsOkAndHolds(big));
  // The Go server gives the whole connection up over an answer that it cannot send.
  EXPECT_TRUE(IsClosed(Call("Big", "5000000").status()));
}

TEST_F(GoServerTest, AKilledServerIsNoticed) {
  ASSERT_THAT(server_->Kill(SIGKILL), Succeeds());
  EXPECT_TRUE(IsClosed(Call("Sleep", "").status()));
}

// The streams of core/wire over a blocking socket: what a later client of streams builds on.
class StreamInteropTest : public InteropTest {
 protected:
  static void Write(int socket, wire::OutputQueue& output) {
    while (!output.empty()) {
      const ssize_t done =
          ::send(socket, output.front().data(), output.front().size(), MSG_NOSIGNAL);
      ASSERT_GT(done, 0);
      output.Consume(static_cast<size_t>(done));
    }
  }

  // False at the end of the connection.
  template <typename Connection>
  static bool ReadSome(int socket, Connection& connection) {
    std::array<char, 4096> buffer{};
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got > 0) connection.Feed({buffer.data(), static_cast<size_t>(got)});
    return got > 0;
  }

  static wire::Request To(const std::string& method, std::string payload = {}) {
    return {.service = kService, .method = method, .payload = std::move(payload)};
  }
};

class GoStreamServerTest : public StreamInteropTest {
 protected:
  void SetUp() override {
    InteropTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ServeGo();
    auto socket = DialAddress("unix://" + Path());
    ASSERT_THAT(socket, IsOk());
    socket_ = *std::move(socket);
    ::fcntl(socket_.get(), F_SETFL, 0);
  }

  void Send(uint32_t stream, std::initializer_list<std::string_view> messages) {
    for (const std::string_view text : messages) {
      ASSERT_THAT(client_.Send(stream, Wrap(text)), Succeeds());
    }
    client_.CloseSend(stream);
  }

  // The messages of the open stream; its outcome in `last`.
  std::vector<std::string> Receive(wire::ClientEvent& last) {
    Write(socket_.get(), client_.output());
    std::vector<std::string> messages;
    while (true) {
      while (auto event = client_.Next()) {
        last = *event;
        if (event->kind != wire::ClientEvent::Kind::kMessage) return messages;
        messages.push_back(Unwrap(event->message));
      }
      if (!ReadSome(socket_.get(), client_)) {
        ADD_FAILURE() << "the connection ended";
        return messages;
      }
    }
  }

  kernel::UniqueFd socket_;
  wire::ClientConnection client_;
};

TEST_F(GoStreamServerTest, MessagesFlowBothWays) {
  using Mode = wire::ClientConnection::Mode;
  wire::ClientEvent last;
  const auto upper = client_.Start(To("Upper"), Mode::kClientStream);
  ASSERT_THAT(upper, Succeeds());
  Send(*upper, {"a", "", "b"});
  EXPECT_THAT(Receive(last), ElementsAre("A", "", "B"));
  EXPECT_EQ(last.kind, wire::ClientEvent::Kind::kEnd);

  ASSERT_THAT(client_.Start(To("Count", Wrap("3")), Mode::kServerStream), Succeeds());
  EXPECT_THAT(Receive(last), ElementsAre("", "1", ""));
  EXPECT_EQ(last.kind, wire::ClientEvent::Kind::kEnd);

  ASSERT_THAT(client_.Start(To("Count", Wrap("fail")), Mode::kServerStream), Succeeds());
  EXPECT_THAT(Receive(last), ElementsAre());
  EXPECT_EQ(last.response.status.code, wire::RpcCode::kAborted);

  const auto join = client_.Start(To("Join"), Mode::kClientStream);
  ASSERT_THAT(join, Succeeds());
  Send(*join, {"x", "", "y"});
  EXPECT_THAT(Receive(last), ElementsAre());
  EXPECT_EQ(last.kind, wire::ClientEvent::Kind::kResponse);
  EXPECT_EQ(Unwrap(last.response.payload), "x;;y;");
}

// What the Go program's stream checks expect, over one connection.
class StreamServer {
 public:
  void Handle(const wire::ServerEvent& event) {
    using Kind = wire::ServerEvent::Kind;
    if (event.kind == Kind::kRequest) method_ = event.request.method;
    if (event.kind == Kind::kRequest && method_ == "Count") {
      Count(event.stream, Unwrap(event.request.payload));
    } else if (event.kind == Kind::kMessage && method_ == "Upper") {
      std::string text = Unwrap(event.message);
      for (char& c : text) c = static_cast<char>(std::toupper(c));
      EXPECT_THAT(connection_.Send(event.stream, Wrap(text)), Succeeds());
    } else if (event.kind == Kind::kMessage) {
      joined_ += Unwrap(event.message) + ";";
    } else if (event.kind == Kind::kHalfClose && method_ == "Upper") {
      connection_.End(event.stream);
    } else if (event.kind == Kind::kHalfClose) {
      connection_.Respond(event.stream, {.status = {}, .payload = Wrap(joined_)});
    }
  }

  wire::ServerConnection& connection() { return connection_; }

 private:
  void Count(uint32_t stream, const std::string& asked) {
    if (asked == "fail") {
      connection_.Respond(stream,
                          {.status = wire::MakeStatus(wire::RpcCode::kAborted, "asked to")});
      return;
    }
    for (int i = 0; i < std::stoi(asked); ++i) {
      EXPECT_THAT(connection_.Send(stream, Wrap(i % 2 == 1 ? std::to_string(i) : "")), Succeeds());
    }
    connection_.End(stream);
  }

  wire::ServerConnection connection_{16};
  std::string method_;
  std::string joined_;
};

TEST_F(StreamInteropTest, TheGoClientStreamsToOurServer) {
  auto listener = ListenUnix(Path(), 0600);
  ASSERT_THAT(listener, IsOk());
  ::fcntl(listener->get(), F_SETFL, 0);
  std::thread server([&] {
    const kernel::UniqueFd socket(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
    StreamServer streams;
    while (ReadSome(socket.get(), streams.connection())) {
      while (auto event = streams.connection().Next()) streams.Handle(*event);
      Write(socket.get(), streams.connection().output());
    }
  });
  ExpectChecksPass("stream");
  // Should the client have died before it connected, nobody else ends the wait.
  ::shutdown(listener->get(), SHUT_RDWR);
  server.join();
}

}  // namespace
}  // namespace gantry::ttrpc
