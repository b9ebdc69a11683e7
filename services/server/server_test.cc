// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/impl/client_unary_call.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/metrics/registry.h"
#include "core/ttrpc/client.h"
#include "gtest/gtest.h"
#include "proto/services/ttrpc/events/v1/events.pb.h"
#include "proto/services/version/v1/version.grpc.pb.h"
#include "services/rpc/unary.h"
#include "services/server/call_table.h"
#include "services/server/debug_pages.h"
#include "services/server/grpc_server.h"
#include "services/server/http_server.h"
#include "services/server/socket.h"
#include "services/server/ttrpc_server.h"

namespace gantry::server {
namespace {

namespace version = ::containerd::services::version::v1;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class SocketTest : public ::testing::Test {
 protected:
  SocketOptions At(const std::string& name) {
    return {.address = (dir_.path() / name).string(), .uid = ::geteuid(), .gid = ::getegid()};
  }
  static mode_t ModeOf(const std::filesystem::path& path) {
    struct stat attributes {};
    EXPECT_EQ(::stat(path.c_str(), &attributes), 0) << path;
    return attributes.st_mode & 07777;
  }

  // A bound socket that nobody listens on.
  static void LeaveSocket(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ::close(fd);
  }

  testing::TempDir dir_;
};

TEST_F(SocketTest, PathsThatCannotBeBoundAreRefused) {
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(PrepareSocket({.address = "relative.sock"}), refused);
  EXPECT_THAT(PrepareSocket({.address = ""}), refused);
  EXPECT_THAT(PrepareSocket({.address = "/" + std::string(104, 'x')}), refused);
}

TEST_F(SocketTest, AMissingFolderIsMadeForOwnerAndGroup) {
  EXPECT_THAT(PrepareSocket(At("a/b/s")), IsOk());
  EXPECT_EQ(ModeOf(dir_.path() / "a/b") & 0007, 0u);
  ASSERT_EQ(::chmod((dir_.path() / "a/b").c_str(), 0711), 0);
  EXPECT_THAT(PrepareSocket(At("a/b/s")), IsOk());
  EXPECT_EQ(ModeOf(dir_.path() / "a/b"), 0711u);  // One that exists is left alone.
}

TEST_F(SocketTest, AStaleSocketGoesAndNothingElseDoes) {
  LeaveSocket(At("s").address);
  EXPECT_THAT(PrepareSocket(At("s")), IsOk());
  EXPECT_FALSE(std::filesystem::exists(At("s").address));
  std::ofstream(At("file").address) << "precious";
  EXPECT_THAT(PrepareSocket(At("file")), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_TRUE(std::filesystem::exists(At("file").address));
}

// Answers at once, or when released.
class HeldService final : public rpc::Service, public version::Version::CallbackService {
 public:
  grpc::Service& grpc() override { return *this; }
  grpc::ServerUnaryReactor* Version(grpc::CallbackServerContext* call,
                                    const google::protobuf::Empty*,
                                    version::VersionResponse* response) override {
    if (!hold) return rpc::EndNow(absl::OkStatus());
    return rpc::RunAsync<version::VersionResponse>(
        call, response,
        [this](const Context&, rpc::Done<version::VersionResponse> done) {
          held = std::move(done);
          entered = true;
          entered.notify_all();
        },
        rpc::Namespace::kIgnored);
  }

  std::atomic<bool> hold = false;
  std::atomic<bool> entered = false;
  rpc::Done<version::VersionResponse> held;
};

class GrpcServerTest : public SocketTest {
 protected:
  void StartServer() {
    server_ = std::make_unique<GrpcServer>(GrpcOptions{.socket = At("s")},
                                           std::vector<rpc::Service*>{&service_}, &calls_);
    ASSERT_THAT(server_->Start(), IsOk());
  }

  grpc::Status Call() {
    const auto stub = version::Version::NewStub(
        grpc::CreateChannel("unix:" + At("s").address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    version::VersionResponse response;
    return stub->Version(&context, {}, &response);
  }

  std::string Metrics() {
    std::vector<metrics::Family> families;
    calls_.AddMetrics(families);
    return metrics::Render(families);
  }

  HeldService service_;
  CallTable calls_{true};
  std::unique_ptr<GrpcServer> server_;
};

TEST_F(GrpcServerTest, ServesOnAPrivateSocketInPlaceOfAStaleOne) {
  LeaveSocket(At("s").address);
  StartServer();
  EXPECT_EQ(ModeOf(At("s").address), 0660u);
  EXPECT_TRUE(Call().ok());
  server_->Stop(absl::Now());
  EXPECT_FALSE(std::filesystem::exists(At("s").address));
  server_->Stop(absl::Now());
}

TEST_F(GrpcServerTest, CallsAreCounted) {
  StartServer();
  EXPECT_TRUE(Call().ok());
  EXPECT_TRUE(Call().ok());
  server_->Stop(absl::Now());
  const std::string series =
      "{grpc_method=\"Version\",grpc_service=\"containerd.services.version.v1.Version\","
      "grpc_type=\"unary\"} 2\n";
  EXPECT_THAT(Metrics(), HasSubstr("grpc_server_started_total" + series));
  EXPECT_THAT(Metrics(), HasSubstr("grpc_server_msg_received_total" + series));
  EXPECT_THAT(Metrics(), HasSubstr("grpc_server_msg_sent_total" + series));
  EXPECT_THAT(Metrics(), HasSubstr("grpc_server_handling_seconds_count" + series));
  EXPECT_THAT(Metrics(), HasSubstr("grpc_server_handled_total{grpc_code=\"OK\","));
  EXPECT_THAT(calls_.Open(), IsEmpty());
}

TEST_F(GrpcServerTest, StopWaitsForCallsThatEndByThemselves) {
  StartServer();
  service_.hold = true;
  grpc::Status status;
  std::thread client([&] { status = Call(); });
  service_.entered.wait(false);
  ASSERT_EQ(calls_.Open().size(), 1u);
  EXPECT_EQ(calls_.Open()[0].method, "/containerd.services.version.v1.Version/Version");
  EXPECT_FALSE(calls_.Open()[0].waits);
  std::thread stopper([&] { server_->Stop(absl::InfiniteFuture()); });
  std::move(service_.held)(version::VersionResponse());
  client.join();
  stopper.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(GrpcServerTest, StopCancelsWhatIsLeftAtTheDeadline) {
  StartServer();
  service_.hold = true;
  grpc::Status status;
  std::thread client([&] { status = Call(); });
  service_.entered.wait(false);
  std::thread stopper([&] { server_->Stop(absl::Now()); });
  client.join();  // The client is let go although the service never answered.
  EXPECT_FALSE(status.ok());
  std::move(service_.held)(version::VersionResponse());
  stopper.join();
}

TEST_F(GrpcServerTest, WhatIsNotServedIsNamed) {
  StartServer();
  const auto channel =
      grpc::CreateChannel("unix:" + At("s").address, grpc::InsecureChannelCredentials());
  const auto answer = [&channel](const char* method) {
    const grpc::internal::RpcMethod rpc(method, grpc::internal::RpcMethod::NORMAL_RPC);
    grpc::ClientContext context;
    google::protobuf::Empty empty;
    return grpc::internal::BlockingUnaryCall(channel.get(), rpc, &context, empty, &empty);
  };
  const grpc::Status service = answer("/containerd.services.none.v1.None/Ask");
  EXPECT_EQ(service.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(service.error_message(), "unknown service containerd.services.none.v1.None");
  const grpc::Status method = answer("/containerd.services.version.v1.Version/Ask");
  EXPECT_EQ(method.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(method.error_message(),
            "unknown method Ask for service containerd.services.version.v1.Version");
}

// Overrides nothing.
class EmptyService final : public rpc::Service, public version::Version::CallbackService {
 public:
  grpc::Service& grpc() override { return *this; }
};

TEST_F(GrpcServerTest, AMethodThatItsServiceDoesNotOverrideIsNamed) {
  EmptyService empty;
  GrpcServer server({.socket = At("s")}, {&empty}, &calls_);
  ASSERT_THAT(server.Start(), IsOk());
  const grpc::Status status = Call();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("containerd.services.version.v1.Version"));
}

class HttpServerTest : public SocketTest {
 protected:
  // Sends `request` to the unix socket and gives the whole answer.
  std::string Ask(const std::string& request) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, At("s").address.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    ::shutdown(fd, SHUT_WR);
    std::string answer;
    char buffer[4096];
    while (true) {
      const ssize_t count = ::recv(fd, buffer, sizeof(buffer), 0);
      if (count <= 0) break;
      answer.append(buffer, static_cast<size_t>(count));
    }
    ::close(fd);
    return answer;
  }
  static std::string Get(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
  }

  metrics::Registry registry_;
};

TEST_F(HttpServerTest, AnswersGetsAndRefusesTheRest) {
  const auto registration = registry_.Add([](std::vector<metrics::Family>& families) {
    families.push_back({"up", "help", metrics::Type::kGauge, {{{}, 1}}});
  });
  HttpServer server(At("s"), MetricsPages(registry_));
  ASSERT_THAT(server.Start(), IsOk());
  EXPECT_EQ(ModeOf(At("s").address), 0660u);
  const std::string answer = Ask(Get("/v1/metrics?x=y"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\n# HELP up help\n# TYPE up gauge\nup 1\n"));
  EXPECT_THAT(Ask(Get("/other")), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask("POST /v1/metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET / HTTP/1.1\r\nHost"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET /" + std::string(20'000, 'x')), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask(""), StartsWith("HTTP/1.1 400 "));
  server.Stop(absl::Now());
  EXPECT_FALSE(std::filesystem::exists(At("s").address));
}

TEST_F(HttpServerTest, DebugPagesShowWhatTheyAreGiven) {
  HttpServer server(At("s"), DebugPages({.vars = [] { return "{}"; },
                                         .stacks = [] { return "stacks"; },
                                         .state = [] { return "state"; }}));
  ASSERT_THAT(server.Start(), IsOk());
  EXPECT_THAT(Ask(Get("/debug/vars")), HasSubstr("application/json"));
  EXPECT_THAT(Ask(Get("/debug/state")), HasSubstr("\r\n\r\nstate"));
  EXPECT_THAT(Ask(Get("/debug/pprof/goroutine?debug=2")), HasSubstr("\r\n\r\nstacks"));
  EXPECT_THAT(Ask(Get("/debug/pprof/")), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Ask(Get("/debug/pprof/cmdline")), HasSubstr("server_test"));
  EXPECT_THAT(Ask(Get("/debug/pprof/heap")), StartsWith("HTTP/1.1 501 "));
}

TEST_F(HttpServerTest, ListensOnTcpToo) {
  HttpServer server({.address = "127.0.0.1:0"}, MetricsPages(registry_));
  EXPECT_THAT(server.Start(), IsOk());
  for (const char* bad : {"nowhere", "127.0.0.1:port", "999.0.0.1:1", "127.0.0.1:99999"}) {
    HttpServer broken({.address = bad}, MetricsPages(registry_));
    EXPECT_FALSE(broken.Start().ok()) << bad;
  }
}

TEST_F(SocketTest, TtrpcIsClosedToOtherUsersAndGroups) {
  if (::geteuid() != 0) GTEST_SKIP() << "changes its group, which takes root";
  const base::FakeClock clock;
  events::Exchange exchange(clock);
  TtrpcServer server(At("s"), exchange);
  ASSERT_THAT(server.Start(), IsOk());
  auto loop = ttrpc::Loop::Start("client");
  ASSERT_THAT(loop, IsOk());
  const auto forward = [&] {
    auto client = ttrpc::Client::Connect(**loop, "unix://" + At("s").address);
    if (!client.ok()) return client.status();
    return (*client)
        ->CallAndWait({.service = "containerd.services.events.ttrpc.v1.Events",
                       .method = "Forward",
                       .deadline = absl::Now() + absl::Seconds(30)},
                      "")
        .status();
  };
  EXPECT_THAT(forward(), StatusIs(absl::StatusCode::kInvalidArgument));
  absl::Status other;
  // The raw call changes the thread alone, where setresgid() changes the process.
  std::thread([&] {
    ASSERT_EQ(::syscall(SYS_setresgid, -1, 1, -1), 0);
    other = forward();
  }).join();
  EXPECT_THAT(other, StatusIs(absl::StatusCode::kUnknown, HasSubstr("ttrpc: closed")));
}

TEST_F(SocketTest, TtrpcForwardsEventsToTheExchange) {
  const base::FakeClock clock;
  events::Exchange exchange(clock);
  const auto subscription = exchange.Subscribe(filters::Filter());
  TtrpcServer server(At("s"), exchange);
  ASSERT_THAT(server.Start(), IsOk());
  EXPECT_EQ(ModeOf(At("s").address), 0660u);
  auto loop = ttrpc::Loop::Start("client");
  ASSERT_THAT(loop, IsOk());
  auto client = ttrpc::Client::Connect(**loop, "unix://" + At("s").address);
  ASSERT_THAT(client, IsOk());
  const auto forward = [&](const std::string& payload) {
    return (*client)
        ->CallAndWait({.service = "containerd.services.events.ttrpc.v1.Events",
                       .method = "Forward",
                       .deadline = absl::Now() + absl::Seconds(30)},
                      payload)
        .status();
  };
  containerd::services::events::ttrpc::v1::ForwardRequest request;
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(forward(request.SerializeAsString()), refused);
  EXPECT_THAT(forward("\xff\xff"), refused);
  auto& envelope = *request.mutable_envelope();
  envelope.set_namespace_("ns");
  envelope.set_topic("/over/ttrpc");
  envelope.mutable_timestamp()->set_seconds(2'000'000);
  envelope.mutable_event()->set_type_url("made.Up");
  EXPECT_THAT(forward(request.SerializeAsString()), IsOk());
  const auto next = subscription->Poll([] {});
  ASSERT_TRUE(next && next->ok());
  EXPECT_EQ((**next)->SerializeAsString(), envelope.SerializeAsString());
}

}  // namespace
}  // namespace gantry::server
