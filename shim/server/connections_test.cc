// SPDX-License-Identifier: Apache-2.0
// What peers may do to a server: come in numbers, as strangers, without reading.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <list>

#include "core/kernel/subprocess.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"
#include "shim/server/server.h"
#include "shim/server/testing/peer.h"

namespace gantry::shim {
namespace {

using gantry::testing::Succeeds;
using testing::Peer;

class ConnectionsTest : public testing::LoopFixture {
 protected:
  ConnectionsTest() {
    methods_["Echo"] = [this](Call call) { return CountedEcho(echoed_, std::move(call)); };
    auto socket = ListeningSocket::Bind(Path());
    EXPECT_THAT(socket, Succeeds());
    server_ = *Server::Create(loop_, *std::move(socket), {.ns = "own"});
    server_->Register("test.Service", methods_);
  }

  static Co<Answer> CountedEcho(size_t& bytes, Call call) {
    bytes += call.payload.size();
    co_return std::move(call.payload);
  }

  bool Echoes(Peer& peer) {
    const uint32_t stream = peer.Begin("Echo", "x");
    RunUntil([&] { return peer.EventOf(stream) != nullptr || !peer.connected(); });
    return peer.connected();
  }

  size_t echoed_ = 0;
  Methods methods_;
  std::unique_ptr<Server> server_;
};

TEST_F(ConnectionsTest, TheSixtyFifthIsClosedAndTheOthersServed) {
  std::list<Peer> peers;
  for (int i = 0; i < 64; ++i) peers.emplace_back(loop_, Path());
  RunUntil([&] { return server_->connections() == 64; });
  Peer last(loop_, Path());
  EXPECT_FALSE(Echoes(last));
  EXPECT_TRUE(Echoes(peers.front()));
  EXPECT_TRUE(Echoes(peers.back()));
  peers.pop_front();
  RunUntil([&] { return server_->connections() == 63; });
  Peer again(loop_, Path());
  EXPECT_TRUE(Echoes(again));
}

TEST_F(ConnectionsTest, APeerThatWritesWithoutReadingIsHeldBackAndNobodyElseIs) {
  constexpr size_t kMegabyte = 1UL << 20;
  Peer greedy(loop_, Path());
  greedy.StopReading();
  std::vector<uint32_t> streams;
  for (int i = 0; i < 64; ++i) {
    streams.push_back(greedy.Begin("Echo", std::string(kMegabyte, 'x')));
  }
  RunUntil([&] { return echoed_ > 8 * kMegabyte; });
  Peer other(loop_, Path());
  EXPECT_TRUE(Echoes(other));
  // 8 MiB of output and the answer that went over it, beside what the socket holds.
  EXPECT_LE(echoed_, 11 * kMegabyte);
  greedy.ReadOn();
  RunUntil([&] { return greedy.events.size() == streams.size(); });
  EXPECT_EQ(echoed_, 64 * kMegabyte + 1);
}

TEST_F(ConnectionsTest, ManySmallCallsToAPeerThatDoesNotReadAreHeldBackToo) {
  Peer greedy(loop_, Path());
  greedy.StopReading();
  const std::string small(4096, 'x');
  for (int i = 0; i < 8000; ++i) greedy.Begin("Echo", small);
  size_t last = 0;
  RunUntil([&] {
    if (echoed_ < 8UL << 20) return false;
    return echoed_ == std::exchange(last, echoed_);
  });
  EXPECT_LE(echoed_, 9UL << 20);
  greedy.ReadOn();
  RunUntil([&] { return greedy.events.size() == 8000; });
}

TEST_F(ConnectionsTest, APeerThatGoesWhileOutputWaitsIsForgotten) {
  Peer greedy(loop_, Path());
  greedy.StopReading();
  for (int i = 0; i < 4; ++i) greedy.Begin("Echo", std::string(1UL << 20, 'x'));
  RunUntil([&] { return echoed_ == 4UL << 20; });
  greedy.Close();
  RunUntil([&] { return server_->connections() == 0; });
}

TEST_F(ConnectionsTest, BytesThatAreNoTtrpcEndTheConnection) {
  Peer peer(loop_, Path());
  peer.Push("GET / HTTP/1.1\r\n\r\n");
  RunUntil([&] { return !peer.connected(); });
  EXPECT_EQ(server_->connections(), 0U);
}

struct Stranger {
  const char* path;
  uid_t uid;
  gid_t gid;
};

// 0: closed without a byte.
int ComeAsStranger(void* argument) {
  const Stranger& stranger = *static_cast<Stranger*>(argument);
  if (::setgroups(0, nullptr) != 0 || ::setresgid(stranger.gid, stranger.gid, stranger.gid) != 0 ||
      ::setresuid(stranger.uid, stranger.uid, stranger.uid) != 0) {
    return 2;
  }
  const kernel::UniqueFd socket = testing::ConnectTo(stranger.path);
  if (!socket) return 3;
  ::fcntl(socket.get(), F_SETFL, 0);
  wire::ClientConnection client;
  client.Start({.service = "test.Service", .method = "Echo"}).ok();
  ::send(socket.get(), client.output().front().data(), client.output().size(), MSG_NOSIGNAL);
  char byte = 0;
  const ssize_t got = ::recv(socket.get(), &byte, 1, 0);
  return got == 0 || (got < 0 && errno == ECONNRESET) ? 0 : 4;
}

TEST_F(ConnectionsTest, APeerWithAnotherUidOrGidIsClosedWithoutReply) {
  if (::geteuid() != 0) return gantry::testing::SkipFor("root");
  ASSERT_EQ(::chmod(Path().c_str(), 0666), 0);
  ASSERT_EQ(::chmod(directory_.c_str(), 0755), 0);
  const std::string path = Path();
  for (const auto& [uid, gid] : {std::pair<uid_t, gid_t>{65534, 0}, {0, 65534}}) {
    Stranger stranger{.path = path.c_str(), .uid = uid, .gid = gid};
    auto process = kernel::Subprocess::Fork(0, ComeAsStranger, &stranger);
    ASSERT_THAT(process, Succeeds());
    std::optional<kernel::ExitStatus> status;
    RunUntil([&] {
      if (const auto ended = process->Wait(0)) status = *ended;
      return status.has_value();
    });
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->AsShellCode(), 0) << uid << ":" << gid;
  }
  Peer ours(loop_, Path());
  EXPECT_TRUE(Echoes(ours));
}

struct MadeConnection {
  kernel::UniqueFd ours;
  kernel::UniqueFd theirs;
};

MadeConnection MakeConnection() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {.ours = kernel::UniqueFd(ends[0]), .theirs = kernel::UniqueFd(ends[1])};
}

TEST_F(ConnectionsTest, AConnectionThatWasMadeBeforeIsServedWithWhatWaitsOnIt) {
  MadeConnection made = MakeConnection();
  Peer peer(loop_, std::move(made.ours));
  const uint32_t stream = peer.Begin("Echo", "early");
  RunUntil([&] { return peer.wire.output().empty(); });
  server_->Adopt(std::move(made.theirs));
  EXPECT_EQ(server_->connections(), 1U);
  RunUntil([&] { return peer.EventOf(stream) != nullptr; });
  EXPECT_EQ(peer.EventOf(stream)->response.payload, "early");
  peer.Close();
  RunUntil([&] { return server_->connections() == 0; });
}

TEST_F(ConnectionsTest, AConnectionThatAnotherUserMadeIsClosed) {
  if (::geteuid() != 0) return gantry::testing::SkipFor("root");
  ASSERT_EQ(::seteuid(65534), 0);
  MadeConnection made = MakeConnection();
  ASSERT_EQ(::seteuid(0), 0);
  server_->Adopt(std::move(made.theirs));
  EXPECT_EQ(server_->connections(), 0U);
  char byte = 0;
  EXPECT_EQ(::recv(made.ours.get(), &byte, 1, 0), 0);
}

// Lets a process open no more fds than it has.
class NoMoreFds {
 public:
  NoMoreFds() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const kernel::UniqueFd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const rlimit none{.rlim_cur = static_cast<rlim_t>(next.get()), .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoMoreFds() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(ConnectionsTest, WithoutFdsNewOnesAreClosedAndOldOnesServed) {
  Peer old(loop_, Path());
  EXPECT_TRUE(Echoes(old));
  Peer refused(loop_, Path());  // not accepted yet
  {
    const NoMoreFds limit;
    EXPECT_FALSE(Echoes(refused));
    EXPECT_TRUE(Echoes(old));
  }
  Peer again(loop_, Path());
  EXPECT_TRUE(Echoes(again));
}

}  // namespace
}  // namespace gantry::shim
