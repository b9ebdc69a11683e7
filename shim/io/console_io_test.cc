// SPDX-License-Identifier: Apache-2.0
#include <glob.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

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
using testing::SendFds;

struct Pty {
  kernel::UniqueFd master, slave;
};

Pty MakePty() {
  Pty pty;
  pty.master.Reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  EXPECT_TRUE(pty.master);
  ::grantpt(pty.master.get());
  ::unlockpt(pty.master.get());
  pty.slave.Reset(::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  EXPECT_TRUE(pty.slave);
  return pty;
}

size_t OpenMasters() {
  size_t count = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    std::array<char, 64> link{};
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(path.c_str(), link.data(), link.size()) > 0)
      count += std::strstr(link.data(), "ptmx") != nullptr ? 1 : 0;
  }
  return count;
}

class ConsoleIoTest : public testing::IoFixture {
 protected:
  void SetUp() override { gantry::testing::RequireProgram("/usr/bin/setsid"); }

  // Both parts of a runtime's work: the terminal is sent, and a process runs on it.
  std::shared_ptr<Process> RunOnTerminal(ProcessIo& io, const std::string& script) {
    EXPECT_THAT(Await(io.Prepare(In(seconds(10)))), Succeeds());
    Pty pty = MakePty();
    SendFds(io.console_socket(), {pty.master.get()}, "/dev/ptmx");
    const auto slave = kernel::Stdio::Fd(pty.slave.get());
    auto process = Spawn({slave, slave, slave}, script, {"/usr/bin/setsid", "--ctty", "--wait"});
    io.Started();
    pty = {};
    EXPECT_THAT(Await(io.Connect(In(seconds(10)))), Succeeds());
    return process;
  }

  size_t Sockets() const {
    glob_t found{};
    ::glob(Path("pty*").c_str(), 0, nullptr, &found);
    const size_t count = found.gl_pathc;
    ::globfree(&found);
    return count;
  }
};

TEST_F(ConsoleIoTest, TheProcessHasATerminalAndItsOutputIsComplete) {
  const size_t fds = OpenFds();
  {
    StdioRequest request{.terminal = true, .out = Fifo("out")};
    const auto out = Open(request.out, O_RDONLY);
    auto io = Make(request);
    EXPECT_EQ(Sockets(), 0U);
    const auto process = RunOnTerminal(*io, "tty; stty size; echo error >&2");
    EXPECT_EQ(OpenMasters(), 1U);
    EXPECT_EQ(Sockets(), 0U);
    std::string text;
    RunUntil([&] {
      text += ReadNow(out.get());
      return process->exit.has_value();
    });
    EXPECT_FALSE(Await(io->Drain(In(milliseconds(20)))));  // a terminal ends with its process only
    io->ProcessExited();
    EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
    EXPECT_EQ(OpenMasters(), 0U);
    text += ReadToEnd(out.get());
    EXPECT_THAT(text, HasSubstr("/dev/pts/"));
    EXPECT_THAT(text, HasSubstr("\r\n0 0\r\nerror\r\n"));
    AwaitClose(*io);
  }
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(ConsoleIoTest, InputReachesTheTerminalAndASizeIsSeen) {
  StdioRequest request{.terminal = true, .in = Fifo("in"), .out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  ASSERT_THAT(io->Resize(1, 1), Succeeds());  // there is none yet
  const auto process = RunOnTerminal(*io, "stty -echo; echo ready; read x; stty size; echo got $x");
  std::string text;
  const auto await_text = [&](const std::string& wanted) {
    RunUntil([&] { return (text += ReadNow(out.get())).find(wanted) != std::string::npos; });
  };
  await_text("ready");
  ASSERT_THAT(io->Resize(132, 43), Succeeds());
  const auto in = Open(request.in, O_WRONLY);
  ASSERT_EQ(::write(in.get(), "hello\n", 6), 6);
  await_text("43 132\r\ngot hello\r\n");
  RunToExit(process);
  io->ProcessExited();
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  EXPECT_THAT(io->Resize(1, 1), Succeeds());
  AwaitClose(*io);
}

TEST_F(ConsoleIoTest, InputLongerThanTheTerminalTakesArrives) {
  StdioRequest request{.terminal = true, .in = Fifo("in"), .out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  RunOnTerminal(*io, "stty raw -echo; echo ready; head -c 300000 | cksum");
  std::string text;
  RunUntil([&] { return (text += ReadNow(out.get())).find("ready") != std::string::npos; });
  std::string input;
  while (input.size() < 300'000) input += std::to_string(input.size()) + " ";
  input.resize(300'000);
  const auto in = Open(request.in, O_WRONLY);
  std::string_view rest = input;
  RunUntil([&] {
    const ssize_t count = ::write(in.get(), rest.data(), rest.size());
    if (count > 0) rest.remove_prefix(static_cast<size_t>(count));
    return rest.empty();
  });
  ASSERT_THAT(kernel::WriteFileAtomic(Path("input"), input, 0600, kernel::Durability::kNone),
              Succeeds());
  ::system(("cksum <" + Path("input") + " >" + Path("sum")).c_str());
  const std::string sum = Content(Path("sum"));
  ASSERT_FALSE(sum.empty());
  RunUntil([&] {
    text += ReadNow(out.get());
    return text.find(sum.substr(0, sum.size() - 1)) != std::string::npos;
  });
  AwaitClose(*io);
}

TEST_F(ConsoleIoTest, WhatASlowReaderHasNotTakenAtTheExitStillArrives) {
  StdioRequest request{.terminal = true, .out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  ASSERT_GE(::fcntl(out.get(), F_SETPIPE_SZ, 4096), 0);
  auto io = Make(request);
  const auto process = RunOnTerminal(*io, "head -c 6000 /dev/zero | tr '\\0' x");
  RunToExit(process);  // the fifo holds 4096 bytes, the terminal could hold all
  io->ProcessExited();
  EXPECT_FALSE(Await(io->Drain(In(milliseconds(20)))));
  EXPECT_EQ(ReadToEnd(out.get()), std::string(6000, 'x'));
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
}

TEST_F(ConsoleIoTest, WhileNobodyHasItOpenATerminalLivesAndTheLoopSleeps) {
  StdioRequest request{.terminal = true, .out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  ASSERT_THAT(Await(io->Prepare(In(seconds(10)))), Succeeds());
  Pty pty = MakePty();
  std::array<char, 64> name{};
  ASSERT_EQ(::ptsname_r(pty.master.get(), name.data(), name.size()), 0);
  SendFds(io->console_socket(), {pty.master.get()}, "/dev/ptmx");
  ASSERT_EQ(::write(pty.slave.get(), "a", 1), 1);
  pty = {};
  ASSERT_THAT(Await(io->Connect(In(seconds(10)))), Succeeds());
  std::string text;
  RunUntil([&] { return (text += ReadNow(out.get())) == "a"; });
  const auto before = CpuTime();
  RunFor(milliseconds(200));
  EXPECT_LT(CpuTime() - before, milliseconds(100));
  kernel::UniqueFd slave(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(slave);
  ASSERT_EQ(::write(slave.get(), "b", 1), 1);
  RunUntil([&] { return (text += ReadNow(out.get())) == "ab"; });
}

TEST_F(ConsoleIoTest, ItsEndMayComeBeforeTheTerminalIsConnected) {
  StdioRequest request{.terminal = true, .out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  ASSERT_THAT(Await(io->Prepare(In(seconds(10)))), Succeeds());
  Pty pty = MakePty();
  SendFds(io->console_socket(), {pty.master.get()}, "x");
  ASSERT_EQ(::write(pty.slave.get(), "last words", 10), 10);
  pty = {};
  io->ProcessExited();
  ASSERT_THAT(Await(io->Connect(In(seconds(10)))), Succeeds());
  EXPECT_EQ(ReadToEnd(out.get()), "last words");
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
}

TEST_F(ConsoleIoTest, TheEndOfTheInputHangsUp) {
  StdioRequest request{.terminal = true, .in = Fifo("in"), .out = Fifo("out")};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  const auto process = RunOnTerminal(*io, "exec sleep 1000");
  io->CloseStdin();
  RunToExit(process);
  EXPECT_EQ(OpenMasters(), 0U);
}

TEST_F(ConsoleIoTest, WithoutATargetOutputIsDropped) {
  auto io = Make({.terminal = true});
  const auto process = RunOnTerminal(*io, "head -c 1000000 /dev/zero; exit 4");
  RunToExit(process);
  EXPECT_EQ(process->exit->status.code, 4);
  io->ProcessExited();
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
}

TEST_F(ConsoleIoTest, OutputMayGoToAFile) {
  auto io = Make({.terminal = true, .out = "file://" + Path("log")});
  RunToExit(RunOnTerminal(*io, "echo hello"));
  io->ProcessExited();
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  EXPECT_EQ(Content(Path("log")), "hello\r\n");
}

TEST_F(ConsoleIoTest, OutputMayGoToALogger) {
  const size_t fds = OpenFds();
  const std::string logger = Script("logger", "exec 5>&-; cat <&3 >" + Path("log") + "; touch " +
                                                  Path("done") + "; read x <&4; sleep 1000");
  auto io = Make({.terminal = true, .out = "binary://" + logger, .id = "c", .ns = "n"});
  RunToExit(RunOnTerminal(*io, "echo hello"));
  io->ProcessExited();
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  RunUntil([this] { return ::access(Path("done").c_str(), F_OK) == 0; });
  EXPECT_EQ(Content(Path("log")), "hello\r\n");
  AwaitClose(*io);
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(ConsoleIoTest, ALoggerThatDiesDoesNotStopTheProcess) {
  const std::string logger = Script("logger", "exec 5>&-; exit 0");
  auto io = Make({.terminal = true, .out = "binary://" + logger, .id = "c", .ns = "n"});
  const auto process = RunOnTerminal(*io, "head -c 1000000 /dev/zero; exit 6");
  RunToExit(process);
  EXPECT_EQ(process->exit->status.code, 6);
  AwaitClose(*io);
}

TEST_F(ConsoleIoTest, ABundleWithALongPathHasAShortAddress) {
  std::string bundle = dir_;
  while (bundle.size() < 150) {
    bundle += "/" + std::string(40, 'b');
    ASSERT_EQ(::mkdir(bundle.c_str(), 0700), 0);
  }
  StdioRequest request{.terminal = true, .out = Fifo("out"), .bundle = bundle};
  const auto out = Open(request.out, O_RDONLY);
  auto io = Make(request);
  const auto process = RunOnTerminal(*io, "echo hello");
  RunToExit(process);
  io->ProcessExited();
  EXPECT_EQ(ReadToEnd(out.get()), "hello\r\n");
  EXPECT_EQ(::rmdir(bundle.c_str()), 0) << "something was left in the bundle";
}

TEST_F(ConsoleIoTest, AnythingButOneTerminalIsRefused) {
  const size_t fds = OpenFds();
  const Pty pty = MakePty();
  const int master = pty.master.get();
  const kernel::UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const std::vector<std::pair<std::vector<int>, std::string>> wrong = {
      {{}, "name"},
      {{master, master}, "name"},
      {{master, master, master, master, master, master}, "name"},
      {{file.get()}, "name"},
      {{master}, std::string(4096, 'n')},
  };
  for (const auto& [sent, name] : wrong) {
    auto io = Make({.terminal = true});
    ASSERT_THAT(Await(io->Prepare(In(seconds(10)))), Succeeds());
    SendFds(io->console_socket(), sent, name);
    EXPECT_THAT(Await(io->Connect(In(seconds(10)))), FailsWith(EPROTO));
    EXPECT_EQ(OpenFds(), fds + 3);
    EXPECT_EQ(Sockets(), 0U);
  }
}

TEST_F(ConsoleIoTest, ATerminalThatDoesNotComeFailsAtTheDeadline) {
  const size_t fds = OpenFds();
  auto io = Make({.terminal = true});
  ASSERT_THAT(Await(io->Prepare(In(seconds(10)))), Succeeds());
  EXPECT_THAT(Await(io->Connect(In(milliseconds(20)))), FailsWith(ETIMEDOUT));
  EXPECT_EQ(OpenFds(), fds);
  EXPECT_EQ(Sockets(), 0U);
  auto unused = Make({.terminal = true});
  ASSERT_THAT(Await(unused->Prepare(In(seconds(10)))), Succeeds());
  EXPECT_EQ(Sockets(), 1U);
  AwaitClose(*unused);
  EXPECT_EQ(Sockets(), 0U);
  EXPECT_THAT(Await(Make({.terminal = true, .bundle = "/nonexistent"})->Prepare(kNever)),
              FailsWith(ENOENT));
  EXPECT_EQ(OpenFds(), fds);
}

}  // namespace
}  // namespace gantry::shim
