// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stream_io.h"

#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <list>
#include <memory>
#include <string>

#include "core/kernel/testing/require.h"
#include "shim/io/stream_service.h"
#include "shim/io/testing/io_fixture.h"
#include "shim/io/testing/stream_peer.h"
#include "shim/server/listening_socket.h"
#include "shim/server/server.h"

namespace gantry::shim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::OpenFds;
using testing::StreamPeer;
using wire::RpcCode;

constexpr int32_t kWindow = 65536;

std::string Uri(const std::string& id) { return "ttrpc+unix:///run/s.sock?streaming_id=" + id; }

class StreamIoTest : public testing::IoFixture {
 protected:
  StreamIoTest() {
    auto socket = ListeningSocket::Bind(Path("socket"));
    EXPECT_TRUE(socket.ok());
    server_ = *Server::Create(loop_, *std::move(socket), {.ns = "ns", .max_connections = 2000});
    server_->RegisterExchanges("containerd.services.streaming.v1.Streaming", service_.methods());
  }

  void TearDown() override {
    clients_.clear();
    RunUntil([this] { return server_->connections() == 0 && server_->calls() == 0; });
    EXPECT_EQ(context_.streams.waiting(), 0U);
    IoFixture::TearDown();
  }

  StreamPeer& Open(const std::string& id) {
    StreamPeer& client = clients_.emplace_back(loop_, Path("socket"), id);
    RunUntil([&] {
      client.Look();
      return client.acknowledged || client.over();
    });
    return client;
  }

  // Reads as Go clients do.
  void ReadUntil(StreamPeer& client, const std::function<bool()>& done) {
    RunUntil([&] {
      client.Look(true);
      return done();
    });
  }
  std::string ReadToEnd(StreamPeer& client) {
    ReadUntil(client, [&] { return client.over(); });
    EXPECT_TRUE(client.ended) << client.status.message;
    return client.text;
  }

  // Writes what it is allowed to.
  void WriteAll(StreamPeer& client, std::string_view data) {
    RunUntil([&] {
      client.Look();
      const auto allowed = static_cast<size_t>(std::max<int64_t>(client.credit, 0));
      const std::string_view piece =
          data.substr(0, std::min<size_t>({allowed, data.size(), 32768}));
      if (!piece.empty()) client.Write(std::string(piece));
      client.credit -= static_cast<int64_t>(piece.size());
      data.remove_prefix(piece.size());
      return data.empty();
    });
  }

  StreamService service_{context_};
  std::unique_ptr<Server> server_;
  std::list<StreamPeer> clients_;
};

// Numbered lines, so that what is missing or doubled shows.
constexpr char kLines[] = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done";
std::string Lines() {
  std::string text;
  for (int i = 1; i <= 20000; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

TEST_F(StreamIoTest, OutputIsCompleteAndEndsBeforeTheStreamsAreClosed) {
  const size_t fds = OpenFds();
  StreamPeer& out = Open("c-stdout");
  StreamPeer& err = Open("c-stderr");
  auto io = Make({.out = Uri("c-stdout"), .err = Uri("c-stderr")});
  const auto process = Run(*io, std::string(kLines) + "; echo to err >&2");
  EXPECT_EQ(ReadToEnd(out), Lines());
  EXPECT_EQ(ReadToEnd(err), "to err\n");
  RunToExit(process);
  io->ProcessExited();
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  AwaitClose(*io);
  io.reset();
  clients_.clear();
  RunUntil([this] { return server_->connections() == 0; });
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(StreamIoTest, WhatAClientAllowedBeforeThereWasAProcessCounts) {
  StreamPeer& out = Open("out");
  out.Look(true);
  EXPECT_EQ(context_.streams.waiting(), 1U);
  auto io = Make({.out = Uri("out")});
  Run(*io, "echo hello");
  EXPECT_EQ(context_.streams.waiting(), 0U);
  EXPECT_EQ(ReadToEnd(out), "hello\n");
}

TEST_F(StreamIoTest, InputArrivesWholeAndEndsWithTheHalfClose) {
  StreamPeer& in = Open("in");
  StreamPeer& out = Open("out");
  auto io = Make({.in = Uri("in"), .out = Uri("out")});
  Run(*io, "exec md5sum");
  const std::string data(1 << 20, 'i');
  WriteAll(in, data);
  in.HalfClose();
  RunUntil([&] { return in.flushed(); });
  in.Close();  // as Go clients do, at once
  EXPECT_EQ(ReadToEnd(out).substr(0, 32), "880a36b82b7e9cbac4ac26d4ffcc9e45");
}

TEST_F(StreamIoTest, InputEndsOnlyWhenItIsClosedAndItsClientIsGone) {
  StreamPeer& out = Open("out");
  auto io = Make({.in = Uri("in"), .out = Uri("out")});
  const auto process = Run(*io, "while read line; do echo got $line; done; echo end");
  for (const std::string line : {"1\n", "2\n"}) {
    StreamPeer& in = Open("in");
    WriteAll(in, line);
    ReadUntil(out, [&] { return out.text.ends_with("got " + line); });
    in.Close();
    RunUntil([this] { return server_->connections() == 1; });
  }
  StreamPeer& in = Open("in");
  io->CloseStdin();
  WriteAll(in, "3\n");
  ReadUntil(out, [&] { return out.text == "got 1\ngot 2\ngot 3\n"; });
  EXPECT_FALSE(process->exit);
  in.Close();
  EXPECT_EQ(ReadToEnd(out), "got 1\ngot 2\ngot 3\nend\n");
  StreamPeer& late = Open("in");
  RunUntil([&] { return late.Look(), late.over(); });
  EXPECT_TRUE(late.ended);
}

TEST_F(StreamIoTest, WithoutAClientClosedInputEndsAtOnce) {
  StreamPeer& out = Open("out");
  auto io = Make({.in = Uri("in"), .out = Uri("out")});
  io->CloseStdin();
  Run(*io, "cat; echo end");
  EXPECT_EQ(ReadToEnd(out), "end\n");
}

TEST_F(StreamIoTest, WhatWasSentStaysThoughTheProcessDoesNotReadYet) {
  StreamPeer& out = Open("out");
  auto io = Make({.in = Uri("in"), .out = Uri("out")});
  Run(*io, "while ! test -e " + Path("go") + "; do sleep 0.01; done; exec wc -c");
  // The pipe takes 64 KiB, the shim as much again, over all clients together.
  StreamPeer& first = Open("in");
  WriteAll(first, std::string(131'072, 'x'));
  RunUntil([&] { return first.flushed(); });
  first.Close();
  RunUntil([this] { return server_->connections() == 1; });
  StreamPeer& second = Open("in");
  RunFor(milliseconds(50));
  second.Look();
  EXPECT_EQ(second.credit, 0);
  EXPECT_TRUE(kernel::WriteFileAtomic(Path("go"), "", 0600, kernel::Durability::kNone).ok());
  second.HalfClose();
  EXPECT_EQ(ReadToEnd(out), "131072\n");
}

TEST_F(StreamIoTest, WhoSendsMoreThanAllowedIsSentAway) {
  Open("out");
  auto io = Make({.in = Uri("in"), .out = Uri("out")});
  Run(*io, "exec sleep 1000");
  StreamPeer& in = Open("in");
  for (int i = 0; i < 6; ++i) in.Write(std::string(32768, 'x'));
  RunUntil([&] { return in.Look(), in.over(); });
  EXPECT_EQ(in.status.code, RpcCode::kResourceExhausted);
}

TEST_F(StreamIoTest, InputForAProcessWithoutEarsIsDropped) {
  StreamPeer& in = Open("in");
  StreamPeer& out = Open("out");
  auto io = Make({.in = Uri("in"), .out = Uri("out")});
  Run(*io, "exec 0<&-; echo closed; exec sleep 1000");
  ReadUntil(out, [&] { return out.text == "closed\n"; });
  WriteAll(in, std::string(1 << 20, 'x'));  // a writer that waited for ever would hang its daemon
  in.HalfClose();
  RunUntil([&] { return in.Look(), in.over(); });
  EXPECT_TRUE(in.ended);
}

TEST_F(StreamIoTest, NoMoreComesThanIsAllowed) {
  StreamPeer& out = Open("out");
  auto io = Make({.out = Uri("out")});
  const auto process = Run(*io, kLines);
  RunFor(milliseconds(50));
  out.Look();
  EXPECT_EQ(out.text, "");
  EXPECT_FALSE(process->exit);  // the pipe is full
  out.Grant(10);
  RunUntil([&] { return out.Look(), out.text.size() == 10; });
  RunFor(milliseconds(50));
  out.Look();
  EXPECT_EQ(out.text, Lines().substr(0, 10));
  EXPECT_EQ(ReadToEnd(out), Lines());
}

TEST_F(StreamIoTest, AnIdleProcessOfAStoppedReaderCostsNoTime) {
  StreamPeer& out = Open("out");
  auto io = Make({.out = Uri("out")});
  Run(*io, std::string(kLines) + "; exec sleep 1000");
  RunFor(milliseconds(100));
  out.Close();
  RunUntil([this] { return server_->connections() == 0; });
  RunFor(milliseconds(50));
  const milliseconds before = testing::CpuTime();
  RunFor(milliseconds(300));
  EXPECT_LT(testing::CpuTime() - before, milliseconds(100));
}

TEST_F(StreamIoTest, WhatAReaderGaveNoCreditForComesAgainToTheNext) {
  StreamPeer& first = Open("out");
  first.Grant(kWindow);
  auto io = Make({.out = Uri("out")});
  Run(*io, kLines);
  RunUntil([&] { return first.Look(), first.text.size() == kWindow; });
  first.Close();
  RunUntil([this] { return server_->connections() == 0; });
  EXPECT_EQ(ReadToEnd(Open("out")), Lines());
}

TEST_F(StreamIoTest, NothingIsLostWhenAReaderLeavesAmidTheOutput) {
  const std::string whole = Lines();
  auto io = Make({.out = Uri("out")});
  StreamPeer& first = Open("out");
  Run(*io, kLines);
  ReadUntil(first, [&] { return first.text.size() >= 160'000; });  // beyond two windows
  first.Close();
  RunUntil([this] { return server_->connections() == 0; });
  const std::string rest = ReadToEnd(Open("out"));
  ASSERT_LE(rest.size(), whole.size());
  EXPECT_EQ(rest, whole.substr(whole.size() - rest.size()));
  EXPECT_GE(first.text.size() + rest.size(), whole.size());
  // What it gave credit for comes once.
  EXPECT_LE(first.text.size() + rest.size(), whole.size() + 2 * kWindow);
  EXPECT_LT(rest.size(), whole.size());
}

TEST_F(StreamIoTest, WhatAReaderHasHadForAWhileDoesNotComeAgain) {
  StreamPeer& first = Open("out");
  auto io = Make({.out = Uri("out")});
  const std::string go = Fifo("go");
  Run(*io, "echo before; read x < " + go + "; echo after");
  ReadUntil(first, [&] { return first.text == "before\n"; });
  RunFor(milliseconds(1200));
  first.Close();
  RunUntil([this] { return server_->connections() == 0; });
  const kernel::UniqueFd writer(::open(go.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::write(writer.get(), "x\n", 2), 2);
  EXPECT_EQ(ReadToEnd(Open("out")), "after\n");
}

TEST_F(StreamIoTest, OutputWrittenWhileNobodyReadsWaits) {
  auto first = std::make_unique<StreamPeer>(loop_, Path("socket"), "out");
  auto io = Make({.out = Uri("out")});
  Run(*io, "read -r x < " + Fifo("go") + "; echo while away; exec sleep 1000");
  first->Close();
  RunUntil([this] { return server_->connections() == 0; });
  const kernel::UniqueFd go(::open(Path("go").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::write(go.get(), "x\n", 2), 2);
  RunFor(milliseconds(50));
  StreamPeer& second = Open("out");
  ReadUntil(second, [&] { return second.text == "while away\n"; });
}

TEST_F(StreamIoTest, TheNewestClientTakesTheStream) {
  StreamPeer& first = Open("out");
  StreamPeer& waiting = Open("out");
  RunUntil([&] { return first.Look(), first.over(); });
  EXPECT_EQ(first.status.code, RpcCode::kAborted);
  auto io = Make({.out = Uri("out")});
  Run(*io, "echo hello; exec sleep 1000");
  StreamPeer& second = Open("out");
  RunUntil([&] { return waiting.Look(), waiting.over(); });
  EXPECT_EQ(waiting.status.code, RpcCode::kAborted);
  ReadUntil(second, [&] { return second.text == "hello\n"; });
}

TEST_F(StreamIoTest, WithoutAReaderConnectFailsAndNothingIsLeft) {
  const size_t fds = OpenFds();
  {
    auto io = Make({.in = Uri("in"), .out = Uri("out"), .err = Uri("err")});
    EXPECT_TRUE(Await(io->Prepare(In(seconds(10)))).ok());
    StreamPeer& out = Open("out");
    Spawn(io->RuntimeStdio(), "exec sleep 1000");
    io->Started();
    const auto connected = Await(io->Connect(In(milliseconds(50))));
    ASSERT_FALSE(connected.ok());
    EXPECT_EQ(connected.error().err, ETIMEDOUT);
    EXPECT_NE(connected.error().Text().find("stream err"), std::string::npos);
    RunUntil([&] { return out.Look(), out.over(); });
    EXPECT_TRUE(out.ended);
    clients_.clear();
    RunUntil([this] { return server_->connections() == 0; });
  }
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(StreamIoTest, DrainWaitsForAReaderOfWhatIsThere) {
  StreamPeer& out = Open("out");
  auto io = Make({.out = Uri("out")});
  const auto process = Run(*io, "echo hello");
  RunToExit(process);
  io->ProcessExited();
  EXPECT_FALSE(Await(io->Drain(In(milliseconds(50)))));
  EXPECT_EQ(ReadToEnd(out), "hello\n");
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  // Who comes late finds the end.
  RunFor(milliseconds(1200));
  EXPECT_EQ(ReadToEnd(Open("out")), "");
}

TEST_F(StreamIoTest, WhatAClientTakesNoMoreOfIsDroppedOnceTheProcessHasEnded) {
  StreamPeer& out = Open("c-stdout");
  auto io = Make({.out = Uri("c-stdout")});
  out.Grant(1000);
  const auto process = Run(*io, "head -c 50000 /dev/zero");
  RunUntil([&] { return out.Look(), out.text.size() == 1000; });
  RunToExit(process);
  io->ProcessExited();
  out.HalfClose();
  const Time begun = Clock::now();
  EXPECT_TRUE(Await(io->Drain(In(seconds(20)))));
  EXPECT_LT(Clock::now() - begun, seconds(10));
  AwaitClose(*io);
}

TEST_F(StreamIoTest, ASteadyWriterOfShortLinesFillsNoClientsQueue) {
  StreamPeer& out = Open("c-stdout");
  auto io = Make({.out = Uri("c-stdout")});
  const auto process =
      Run(*io, "i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo line $i; sleep 0.01; done");
  const Time begun = Clock::now();
  const std::string text = ReadToEnd(out);
  const auto took = std::chrono::ceil<seconds>(Clock::now() - begun);
  EXPECT_TRUE(text.ends_with("line 150\n"));
  // 64 last for some seconds, on a slow machine too.
  EXPECT_LE(out.messages, 24U + 20U * static_cast<size_t>(took.count()));
  RunToExit(process);
  AwaitClose(*io);
}

TEST_F(StreamIoTest, WithoutOutputLeftADrainNeedsNoReader) {
  StreamPeer& out = Open("out");
  auto io = Make({.out = Uri("out")});
  const auto process = Run(*io, "read x < " + Fifo("go"));
  out.Close();
  RunUntil([this] { return server_->connections() == 0; });
  const kernel::UniqueFd go(::open(Path("go").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::write(go.get(), "x\n", 2), 2);
  RunToExit(process);
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
}

TEST_F(StreamIoTest, CloseEndsTheStreamsThoughTheProcessHoldsThem) {
  StreamPeer& in = Open("in");
  StreamPeer& out = Open("out");
  auto io = Make({.in = Uri("in"), .out = Uri("out")});
  Run(*io, "echo hello; exec sleep 1000");
  ReadUntil(out, [&] { return out.text == "hello\n"; });
  EXPECT_FALSE(Await(io->Drain(In(milliseconds(20)))));
  AwaitClose(*io);
  EXPECT_EQ(ReadToEnd(out), "hello\n");
  RunUntil([&] { return in.Look(), in.over(); });
  EXPECT_TRUE(in.ended);
}

TEST_F(StreamIoTest, OutputIsOnItsWayWhenTheExitIsAnnounced) {
  StreamPeer& out = Open("out");
  out.Look(true);
  auto io = Make({.out = Uri("out")});
  const auto process = Run(*io, "for i in 1 2 3 4 5 6 7 8 9; do echo $i; done");
  RunToExit(process);
  io->ProcessExited();
  EXPECT_TRUE(Await(io->Drain(Clock::now())));
  EXPECT_EQ(ReadToEnd(out), "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
}

TEST_F(StreamIoTest, AnIdIsTakenOnce) {
  auto io = Make({.out = Uri("out")});
  EXPECT_TRUE(Await(io->Prepare(In(seconds(10)))).ok());
  auto other = Make({.out = Uri("out")});
  const auto prepared = Await(other->Prepare(In(seconds(10))));
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().err, EEXIST);
  AwaitClose(*io);
  auto later = Make({.out = Uri("out")});
  EXPECT_TRUE(Await(later->Prepare(In(seconds(10)))).ok());
}

TEST_F(StreamIoTest, WhoBeginsWithoutAnIdIsRefused) {
  StreamPeer& client = clients_.emplace_back(loop_, Path("socket"), "");
  client.Grant(1);
  RunUntil([&] { return client.Look(), client.over(); });
  EXPECT_EQ(client.status.code, RpcCode::kInvalidArgument);
  StreamPeer& early = Open("in");
  early.Write("too early");
  RunUntil([&] { return early.Look(), early.over(); });
  EXPECT_EQ(early.status.code, RpcCode::kFailedPrecondition);
}

TEST_F(StreamIoTest, ATerminalsStreamsAreTakenInTheSameWay) {
  gantry::testing::RequireProgram("/usr/bin/setsid");
  StreamPeer& in = Open("in");
  StreamPeer& out = Open("out");
  auto io = Make({.terminal = true, .in = Uri("in"), .out = Uri("out")});
  ASSERT_TRUE(Await(io->Prepare(In(seconds(10)))).ok());
  kernel::UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_EQ(::unlockpt(master.get()), 0);
  kernel::UniqueFd slave(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  testing::SendFds(io->console_socket(), {master.get()}, "/dev/ptmx");
  const auto stdio = kernel::Stdio::Fd(slave.get());
  const auto process = Spawn({stdio, stdio, stdio}, "stty -echo; echo ready; read x; echo got $x",
                             {"/usr/bin/setsid", "--ctty", "--wait"});
  io->Started();
  master.Reset();
  slave.Reset();
  ASSERT_TRUE(Await(io->Connect(In(seconds(10)))).ok());
  ReadUntil(out, [&] { return out.text == "ready\r\n"; });
  WriteAll(in, "it\n");
  RunToExit(process);
  io->ProcessExited();
  EXPECT_EQ(ReadToEnd(out), "ready\r\ngot it\r\n");
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  AwaitClose(*io);
}

}  // namespace
}  // namespace gantry::shim
