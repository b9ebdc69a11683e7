// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <string>

#include "core/kernel/testing/matchers.h"
#include "gmock/gmock.h"
#include "shim/io/process_io.h"
#include "shim/io/testing/io_fixture.h"

namespace gantry::shim {
namespace {

using ::gantry::testing::FailsWith;
using ::gantry::testing::Succeeds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::OpenFds;
using ::testing::UnorderedElementsAre;

class LoggerIoTest : public testing::IoFixture {
 protected:
  StdioRequest Request(const std::string& scheme, const std::string& script,
                       const std::string& query = "") const {
    return {.out = scheme + "://" + Script("logger", script) + query,
            .err = "binary:///ignored",
            .id = "c1",
            .ns = "k8s.io"};
  }

  // Both streams into files, until they end; then a mark.
  std::string Collect() const {
    return "cat <&3 >" + Path("out") + " & cat <&4 >" + Path("err") + "; wait; touch " +
           Path("done");
  }
};

TEST_F(LoggerIoTest, ItReadsBothStreamsToTheirEnd) {
  const size_t fds = OpenFds();
  auto io = Make(Request("binary-v2", "echo ready >&5; exec 5>&-; " + Collect()));
  const auto process = Run(*io, "echo to out; echo to err >&2");
  RunUntil([this] { return ::access(Path("done").c_str(), F_OK) == 0; });
  EXPECT_EQ(Content(Path("out")), "to out\n");
  EXPECT_EQ(Content(Path("err")), "to err\n");
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  RunToExit(process);
  AwaitClose(*io);
  EXPECT_EQ(children_.awaited(), 0U);
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(LoggerIoTest, ItGetsItsArgumentsInOrderTwoVariablesAndThreeDescriptors) {
  auto io = Make(Request("binary",
                         "tr '\\0' '\\n' </proc/$$/environ >" + Path("env") +
                             "; printf '%s|' \"$@\" >" + Path("args") +
                             "; for n in 0 1 2 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$n; done >" +
                             Path("fds") + "; exec 5>&-; " + Collect(),
                         "?z=1&a=&z=2&b=x%20y"));
  ASSERT_THAT(Await(io->Prepare(In(seconds(10)))), Succeeds());
  EXPECT_EQ(Content(Path("env")), "CONTAINER_ID=c1\nCONTAINER_NAMESPACE=k8s.io\n");
  EXPECT_EQ(Content(Path("args")), "z|1|a||b|x y|");
  const std::string links = Content(Path("fds"));
  size_t pipes = 0;
  for (size_t at = links.find("pipe:["); at != std::string::npos; at = links.find("pipe:[", at + 1))
    ++pipes;
  EXPECT_EQ(pipes, 3U) << links;
  EXPECT_TRUE(links.starts_with("/dev/null\n")) << links;
  AwaitClose(*io);
}

TEST_F(LoggerIoTest, TheFirstVersionIsReadyWhenItsDescriptorEnds) {
  auto io = Make(Request("binary", "exec 5>&-; " + Collect()));
  EXPECT_THAT(Await(io->Prepare(In(seconds(10)))), Succeeds());
  AwaitClose(*io);
}

TEST_F(LoggerIoTest, TheSecondVersionMustSayThatItIsReady) {
  const size_t fds = OpenFds();
  auto io = Make(Request("binary-v2", "exit 0"));
  const auto prepared = Await(io->Prepare(In(seconds(10))));
  ASSERT_THAT(prepared, FailsWith(EPIPE));
  EXPECT_THAT(prepared.error().Text(), HasSubstr(Path("logger")));
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(LoggerIoTest, OneThatHangsFailsAtTheDeadlineAndIsKilled) {
  const size_t fds = OpenFds();
  for (const std::string scheme : {"binary", "binary-v2"}) {
    auto io = Make(Request(scheme, "trap '' TERM; exec sleep 1000"));
    const auto prepared = Await(io->Prepare(In(milliseconds(50))));
    ASSERT_THAT(prepared, FailsWith(ETIMEDOUT));
    EXPECT_THAT(prepared.error().Text(), HasSubstr(Path("logger")));
    EXPECT_EQ(OpenFds(), fds);
    RunUntil([this] { return children_.awaited() == 0; });
  }
}

TEST_F(LoggerIoTest, AMissingProgramIsNamed) {
  const size_t fds = OpenFds();
  auto io = Make({.out = "binary:///nonexistent/logger"});
  const auto prepared = Await(io->Prepare(In(seconds(10))));
  ASSERT_THAT(prepared, FailsWith(ENOENT));
  EXPECT_THAT(prepared.error().Text(), HasSubstr("/nonexistent/logger"));
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(LoggerIoTest, ItsDeathIsNoticedByTheContainer) {
  auto io = Make(Request("binary", "exec 5>&-; exit 0"));
  const auto process = Run(*io, "while echo x; do :; done");
  RunToExit(process);
  EXPECT_EQ(process->exit->status.signal, SIGPIPE);
  AwaitClose(*io);
}

TEST_F(LoggerIoTest, OneThatIgnoresSigtermIsKilledWhileOthersGoOn) {
  context_.logger_patience = milliseconds(300);
  auto stubborn = Make(Request("binary", "trap '' TERM; exec 5>&-; while :; do sleep 0.01; done"));
  RunToExit(Run(*stubborn, "exit 0"));
  bool closed = false;
  const Time start = Clock::now();
  Start(KeepClosed(*stubborn, &closed));
  StdioRequest request{.out = Fifo("fifo")};
  const auto out = Open(request.out, O_RDONLY);
  auto other = Make(request);
  Run(*other, "echo hello");
  EXPECT_EQ(ReadToEnd(out.get()), "hello\n");
  EXPECT_FALSE(closed);
  RunUntil([&closed] { return closed; });
  EXPECT_GE(Clock::now() - start, milliseconds(300));
  EXPECT_EQ(children_.awaited(), 0U);
}

TEST_F(LoggerIoTest, OneThatWasNotStoppedIsKilled) {
  {
    auto io = Make(Request("binary", "exec 5>&-; exec sleep 1000"));
    ASSERT_THAT(Await(io->Prepare(In(seconds(10)))), Succeeds());
  }
  RunUntil([this] { return children_.awaited() == 0; });
}

}  // namespace
}  // namespace gantry::shim
