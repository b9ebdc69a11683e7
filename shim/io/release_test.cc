// SPDX-License-Identifier: Apache-2.0
// Whatever fails, and wherever: nothing stays open.
#include <fcntl.h>

#include <cstdlib>
#include <string>

#include "gtest/gtest.h"
#include "shim/io/process_io.h"
#include "shim/io/testing/io_fixture.h"

namespace gantry::shim {
namespace {

using std::chrono::seconds;
using testing::FdLimit;
using testing::OpenFds;

struct Mode {
  const char* name;
  bool terminal;
  const char* out;  // %D is the test's directory
};

class ReleaseTest : public testing::IoFixture, public ::testing::WithParamInterface<Mode> {
 protected:
  StdioRequest Request() const {
    std::string out = GetParam().out;
    for (size_t at; (at = out.find("%D")) != std::string::npos;) out.replace(at, 2, dir_);
    StdioRequest request{.terminal = GetParam().terminal, .out = out, .id = "c", .ns = "n"};
    request.in = out.empty() ? "" : Path("in");
    request.err = GetParam().terminal || out.empty() ? "" : Path("err");
    request.bundle = dir_;
    return request;
  }

  void SetUp() override {
    for (const char* name : {"in", "out", "err"}) Fifo(name);
    Script("logger", "echo >&5; cat <&3 >/dev/null");
  }

  // A terminal whose slave nobody has open.
  static void SendTerminal(const std::string& address) {
    const kernel::UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    testing::SendFds(address, {master.get()}, "x");
  }

  void RunSteps(ProcessIo& io, int steps) {
    if (steps >= 1) {
      EXPECT_TRUE(Await(io.Prepare(In(seconds(10)))).ok());
    }
    if (steps >= 2) io.Started();
    if (steps >= 3) {
      if (!io.console_socket().empty()) SendTerminal(io.console_socket());
      EXPECT_TRUE(Await(io.Connect(In(seconds(10)))).ok());
    }
    if (steps >= 4) io.CloseStdin();
  }

  bool RunLimited(ProcessIo& io, size_t spare) {
    {
      const FdLimit limit(spare);
      if (!Await(io.Prepare(In(seconds(10)))).ok()) return false;
    }
    if (!io.console_socket().empty()) SendTerminal(io.console_socket());
    const FdLimit limit(spare);
    io.Started();
    return Await(io.Connect(In(seconds(10)))).ok();
  }
};

TEST_P(ReleaseTest, WithoutDescriptorsToSpareItFailsAndReleasesEverything) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UndefinedBehaviorSanitizer takes objects for broken when it has no descriptors";
#endif
  const auto out = Open(Path("out"), O_RDONLY);
  const auto err = Open(Path("err"), O_RDONLY);
  const size_t fds = OpenFds();
  bool succeeded = false;
  size_t failures = 0;
  for (size_t spare = 0; spare < 24; ++spare) {
    auto io = Make(Request());
    succeeded = RunLimited(*io, spare);
    failures += succeeded ? 0 : 1;
    if (!succeeded) {
      EXPECT_EQ(OpenFds(), fds) << "with " << spare << " to spare";
    }
    io->ProcessExited();
    AwaitClose(*io);
    EXPECT_EQ(OpenFds(), fds) << "after Close() with " << spare << " to spare";
    io.reset();
    RunUntil([this] { return children_.awaited() == 0; });
    EXPECT_EQ(OpenFds(), fds);
    EXPECT_EQ(loop_.watches(), 1U);
  }
  EXPECT_TRUE(succeeded) << "the last had enough";
  EXPECT_GE(failures, Request().out.empty() ? 0U : 3U);
}

// The steps at which an operation may be given up.
TEST_P(ReleaseTest, ItMayBeGivenUpAfterAnyStep) {
  const auto out = Open(Path("out"), O_RDONLY);
  const auto err = Open(Path("err"), O_RDONLY);
  const size_t fds = OpenFds();
  for (const bool close : {true, false}) {
    for (int steps = 0; steps <= 4; ++steps) {
      auto io = Make(Request());
      RunSteps(*io, steps);
      for (int times = 0; close && times < 2; ++times) {
        AwaitClose(*io);
        EXPECT_EQ(OpenFds(), fds) << "after step " << steps;
      }
      io.reset();
      EXPECT_EQ(OpenFds(), fds) << "after step " << steps;
      RunUntil([this] { return children_.awaited() == 0; });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, ReleaseTest,
                         ::testing::Values(Mode{"Null", false, ""}, Mode{"Fifo", false, "%D/out"},
                                           Mode{"File", false, "file://%D/log"},
                                           Mode{"Logger", false, "binary-v2://%D/logger"},
                                           Mode{"ConsoleNull", true, ""},
                                           Mode{"ConsoleFifo", true, "%D/out"},
                                           Mode{"ConsoleFile", true, "file://%D/log"},
                                           Mode{"ConsoleLogger", true, "binary://%D/logger"}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace gantry::shim
