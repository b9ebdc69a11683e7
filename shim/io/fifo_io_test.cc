// SPDX-License-Identifier: Apache-2.0
#include <sys/ioctl.h>

#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"
#include "gmock/gmock.h"
#include "shim/io/process_io.h"
#include "shim/io/testing/io_fixture.h"

namespace gantry::shim {
namespace {

using ::gantry::testing::FailsWith;
using ::gantry::testing::Succeeds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::CpuTime;
using ::testing::HasSubstr;
using testing::OpenFds;
using testing::ReadNow;

class FifoIoTest : public testing::IoFixture {};

TEST_F(FifoIoTest, OutputIsCompleteAndEndsBeforeTheStreamsAreClosed) {
  const size_t fds = OpenFds();
  {
    StdioRequest request{.out = Fifo("out"), .err = Fifo("err")};
    const auto out = Open(request.out, O_RDONLY);
    const auto err = Open(request.err, O_RDONLY);
    auto io = Make(request);
    const auto process = Run(*io, "echo to out; echo to err >&2");
    EXPECT_EQ(ReadToEnd(out.get()), "to out\n");
    EXPECT_EQ(ReadToEnd(err.get()), "to err\n");
    RunToExit(process);
    io->ProcessExited();
    EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
    AwaitClose(*io);
    EXPECT_EQ(OpenFds(), fds + 2);
  }
  EXPECT_EQ(OpenFds(), fds);
  EXPECT_EQ(loop_.watches(), 1U);  // the signals
}

TEST_F(FifoIoTest, OneOutputAloneIsCopied) {
  StdioRequest request{.err = Fifo("err")};
  const auto err = Open(request.err, O_RDONLY);
  auto io = Make(request);
  Run(*io,
      "echo to out; echo to err >&2; test ! -p /dev/stdin && test ! -p /dev/stdout && echo ok >&2");
  EXPECT_EQ(ReadToEnd(err.get()), "to err\nok\n");
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
}

TEST_F(FifoIoTest, InputEndsOnlyWhenItIsClosedAndItsClientsAreGone) {
  StdioRequest request{.in = Fifo("in"), .out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  const auto process = Run(*io, "while read line; do echo got $line; done; echo end");
  std::string text;
  const auto await_text = [&](const std::string& wanted) {
    RunUntil([&] {
      text += ReadNow(out.get());
      return text == wanted;
    });
  };
  for (const std::string line : {"1\n", "2\n"}) {
    const auto in = Open(request.in, O_WRONLY);
    ASSERT_EQ(::write(in.get(), line.data(), 2), 2);
  }
  await_text("got 1\ngot 2\n");
  auto in = Open(request.in, O_WRONLY);
  io->CloseStdin();
  io->CloseStdin();
  ASSERT_EQ(::write(in.get(), "3\n", 2), 2);
  await_text("got 1\ngot 2\ngot 3\n");
  EXPECT_FALSE(process->exit);
  in.Reset();
  await_text("got 1\ngot 2\ngot 3\nend\n");
}

TEST_F(FifoIoTest, InputMayBeClosedBeforeThereIsAProcess) {
  StdioRequest request{.in = Fifo("in"), .out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  io->CloseStdin();
  Run(*io, "cat; echo end");
  EXPECT_EQ(ReadToEnd(out.get()), "end\n");
}

TEST_F(FifoIoTest, WithoutOutputThereIsNothingToDrain) {
  StdioRequest request{.in = Fifo("in")};
  auto io = Make(request);
  Run(*io, "exec sleep 1000");
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
}

TEST_F(FifoIoTest, InputMayBeAFile) {
  StdioRequest request{.in = Path("in"), .out = Fifo("out")};
  const std::string content(200'000, 'i');
  ASSERT_THAT(kernel::WriteFileAtomic(request.in, content, 0600, kernel::Durability::kNone),
              Succeeds());
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  Run(*io, "cat");
  EXPECT_EQ(ReadToEnd(out.get()), content);
}

TEST_F(FifoIoTest, AClientThatWritesToAProcessWithoutEarsIsToldSo) {
  StdioRequest request{.in = Fifo("in"), .out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  Run(*io, "exec 0<&-; echo closed; exec sleep 1000");
  std::string text;
  RunUntil([&] { return !(text += ReadNow(out.get())).empty(); });
  const auto in = Open(request.in, O_WRONLY);
  RunUntil([&] { return ::write(in.get(), "x", 1) < 0 && errno == EPIPE; });
  AwaitClose(*io);
}

TEST_F(FifoIoTest, AClientThatComesBackHasLostNothing) {
  StdioRequest request{.in = Fifo("in"), .out = Fifo("out")};
  auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  const auto process = Run(*io, "n=0; while read x; do n=$((n+1)); echo line $n >&1; done");
  std::string text;
  std::string wanted;
  const auto in = Open(request.in, O_WRONLY);
  for (int line = 1; line <= 20; ++line) {
    wanted += "line " + std::to_string(line) + "\n";
    out.Reset();
    ASSERT_EQ(::write(in.get(), "\n", 1), 1);
    // What the process writes while nobody reads is in the fifo when a client is back.
    RunFor(milliseconds(2));
    out = Open(request.out, O_RDONLY);
    RunUntil([&] { return (text += ReadNow(out.get())) == wanted; });
  }
  EXPECT_FALSE(process->exit);
}

TEST_F(FifoIoTest, AStoppedReaderStopsTheProcessAndLosesNothing) {
  constexpr size_t kBytes = 2'000'000;
  StdioRequest request{.out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  const auto process = Run(*io, "seq 1 1000000 | head -c 2000000");
  int waiting = 0;  // how much makes it full depends on how full its pages are
  auto since = Clock::now();
  RunUntil([&] {
    const int before = std::exchange(waiting, 0);
    ::ioctl(out.get(), FIONREAD, &waiting);
    if (waiting != before) since = Clock::now();
    return waiting > 0 && Clock::now() - since > milliseconds(200);
  });
  const auto before = CpuTime();
  RunFor(milliseconds(200));
  EXPECT_LT(CpuTime() - before, milliseconds(100)) << "a full fifo keeps the loop busy";
  EXPECT_FALSE(process->exit);
  std::string wanted;
  for (int i = 1; wanted.size() < kBytes; ++i) wanted += std::to_string(i) + "\n";
  wanted.resize(kBytes);
  EXPECT_TRUE(ReadToEnd(out.get()) == wanted);
}

TEST_F(FifoIoTest, BeforeTheProcessWritesNothingRuns) {
  StdioRequest request{.in = Fifo("in"), .out = Fifo("out"), .err = Fifo("err")};
  const auto out = Open(request.out, O_RDONLY);
  const auto err = Open(request.err, O_RDONLY);
  auto io = Make(request);
  const auto process = Run(*io, "exec sleep 1000");
  const auto before = CpuTime();
  RunFor(milliseconds(200));
  EXPECT_LT(CpuTime() - before, milliseconds(50));
  AwaitClose(*io);
}

TEST_F(FifoIoTest, WithoutAReaderItFailsAtTheDeadlineAndReleasesEverything) {
  const size_t fds = OpenFds();
  StdioRequest request{.in = Fifo("in"), .out = Fifo("out"), .err = Fifo("err")};
  auto io = Make(request);
  ASSERT_THAT(Await(io->Prepare(kNever)), Succeeds());
  io->Started();
  const auto connected = Await(io->Connect(In(milliseconds(30))));
  ASSERT_THAT(connected, FailsWith(ETIMEDOUT));
  EXPECT_THAT(connected.error().Text(), HasSubstr(request.out));
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(FifoIoTest, AReaderThatComesLateIsWaitedFor) {
  StdioRequest request{.out = Fifo("out")};
  auto io = Make(request);
  std::string text;
  std::thread reader([&request, &text] {
    std::this_thread::sleep_for(milliseconds(80));
    // It waits in open(2), as Go clients do.
    kernel::UniqueFd out(::open(request.out.c_str(), O_RDONLY | O_CLOEXEC));
    text = ReadNow(out.get());
  });
  const auto process = Run(*io, "echo hello");
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  reader.join();
  EXPECT_EQ(text, "hello\n");
}

TEST_F(FifoIoTest, AMissingPathIsNamed) {
  const size_t fds = OpenFds();
  for (const StdioRequest& request : {StdioRequest{.in = Path("nowhere"), .out = "/dev/null"},
                                      {.out = Path("nowhere")},
                                      {.out = "/dev/null", .err = Path("nowhere")}}) {
    auto io = Make(request);
    ASSERT_THAT(Await(io->Prepare(kNever)), Succeeds());
    const auto connected = Await(io->Connect(In(seconds(10))));
    ASSERT_THAT(connected, FailsWith(ENOENT));
    EXPECT_THAT(connected.error().Text(), HasSubstr(Path("nowhere")));
    EXPECT_EQ(OpenFds(), fds);
  }
}

TEST_F(FifoIoTest, APathThatIsReplacedWhileItIsWaitedForIsNotFollowed) {
  StdioRequest request{.out = Fifo("out")};
  auto io = Make(request);
  ASSERT_THAT(Await(io->Prepare(kNever)), Succeeds());
  kernel::UniqueFd other;
  Timer replace(loop_, [&] {
    ASSERT_EQ(::rename(Fifo("other").c_str(), request.out.c_str()), 0);
    other = Open(request.out, O_RDONLY);
  });
  replace.After(milliseconds(5));
  EXPECT_THAT(Await(io->Connect(In(milliseconds(300)))), FailsWith(ETIMEDOUT));
}

TEST_F(FifoIoTest, BothStreamsIntoOneFileAreComplete) {
  StdioRequest request{.out = Path("log"), .err = Path("log")};
  ASSERT_THAT(kernel::WriteFileAtomic(Path("log"), "before\n", 0600, kernel::Durability::kNone),
              Succeeds());
  auto io = Make(request);
  const auto process = Run(*io, "seq 100000 199999 & seq 300000 399999 >&2; wait");
  EXPECT_TRUE(Await(io->Drain(In(seconds(20)))));
  const std::string text = Content(Path("log"));
  EXPECT_TRUE(text.starts_with("before\n"));
  EXPECT_EQ(text.size(), 7U + 200'000U * 7U);
  RunToExit(process);
}

TEST_F(FifoIoTest, AFullDiskDoesNotStopTheProcess) {
  StdioRequest request{.out = "/dev/full"};
  auto io = Make(request);
  const auto process = Run(*io, "head -c 1000000 /dev/zero && exit 5");
  RunToExit(process);
  EXPECT_EQ(process->exit->status.code, 5);
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
}

TEST_F(FifoIoTest, WhoHoldsTheOutputOpenIsNotWaitedForPastTheDeadline) {
  const size_t fds = OpenFds();
  StdioRequest request{.out = Fifo("out")};
  {
    const auto out = Open(request.out, O_RDONLY);
    auto io = Make(request);
    const auto process = Run(*io, "sleep 1000 & echo started");
    RunToExit(process);
    EXPECT_FALSE(Await(io->Drain(In(milliseconds(50)))));
    AwaitClose(*io);
    EXPECT_EQ(ReadToEnd(out.get()), "started\n");
    ::kill(-process->pid, SIGKILL);
  }
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(FifoIoTest, AnotherUserMayOpenItsStreamsAgain) {
  gantry::testing::RequireRoot();
  gantry::testing::RequireProgram("/usr/bin/setpriv");
  StdioRequest request{.in = Fifo("in"), .out = Fifo("out"), .io_uid = 1234, .io_gid = 1235};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  const auto in = Open(request.in, O_RDWR);
  ASSERT_EQ(::write(in.get(), "hello\n", 6), 6);
  ASSERT_THAT(Await(io->Prepare(kNever)), Succeeds());
  Spawn(io->RuntimeStdio(), "read x </dev/stdin; echo $x >/dev/stdout; id -u",
        {"/usr/bin/setpriv", "--reuid=1234", "--regid=1235", "--clear-groups", "--"});
  io->Started();
  ASSERT_THAT(Await(io->Connect(In(seconds(10)))), Succeeds());
  EXPECT_EQ(ReadToEnd(out.get()), "hello\n1234\n");
}

TEST_F(FifoIoTest, ABusyStreamLeavesTheLoopToOthers) {
  StdioRequest request{.out = Fifo("out")};
  auto io = Make(request);
  std::thread reader([&request] {
    kernel::UniqueFd out(::open(request.out.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 65536> data;
    while (::read(out.get(), data.data(), data.size()) > 0) continue;
  });
  const auto process = Run(*io, "exec head -c 100000000 /dev/zero");
  int turns = 0;
  std::function<void()> again = [&] {
    ++turns;
    if (!process->exit) loop_.Post(again);
  };
  again();
  RunToExit(process);
  EXPECT_GT(turns, 100);
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  reader.join();
}

TEST_F(FifoIoTest, TheBufferIsGivenBackWhenNothingIsCopied) {
  EXPECT_FALSE(context_.buffer.held());
  StdioRequest request{.out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  Run(*io, "echo hello");
  EXPECT_EQ(ReadToEnd(out.get()), "hello\n");
  EXPECT_TRUE(context_.buffer.held());
  RunUntil([this] { return !context_.buffer.held(); });
  EXPECT_EQ(loop_.timers(), 1U);  // the test's own
}

}  // namespace
}  // namespace gantry::shim
