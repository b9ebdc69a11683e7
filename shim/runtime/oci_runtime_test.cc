// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/oci_runtime.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"
#include "core/kernel/tree.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim/loop/signals.h"

namespace gantry::shim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class OciRuntimeTest : public ::testing::Test {
 protected:
  OciRuntimeTest() {
    limit_.After(seconds(60));
    EXPECT_EQ(::mkdir((dir_.path().string() + "/bundle").c_str(), 0700), 0);
  }

  // A runtime that is a shell script.
  OciRuntime Script(const std::string& body) {
    const std::string path = dir_.path().string() + "/runtime";
    EXPECT_TRUE(
        kernel::WriteFileAtomic(path, "#!/bin/sh\n" + body, 0755, kernel::Durability::kNone).ok());
    return OciRuntime(loop_, children_, image_,
                      {.binary = path, .root = "/run/r/ns", .environment = {"PATH=/usr/bin:/bin"}},
                      Bundle());
  }

  std::string Bundle() const { return dir_.path().string() + "/bundle"; }

  RuntimeOutcome Run(OciRuntime& runtime, Arguments arguments,
                     std::optional<std::string> input = std::nullopt, Time deadline = kNever) {
    RuntimeOutcome outcome;
    Start(RunThenStop(loop_, runtime, std::move(arguments), std::move(input), deadline, outcome));
    loop_.Run();
    return outcome;
  }

  static Co<void> RunThenStop(Loop& loop, OciRuntime& runtime, Arguments arguments,
                              std::optional<std::string> input, Time deadline,
                              RuntimeOutcome& outcome) {
    outcome = co_await runtime.Run(std::move(arguments), deadline, std::move(input));
    loop.Stop();
  }

  gantry::testing::TempDir dir_;
  std::unique_ptr<Loop> owned_ = *Loop::Create();
  Loop& loop_ = *owned_;
  std::vector<Exit> others_;
  Children children_{loop_, [this](const Exit& exit) { others_.push_back(exit); }};
  RuntimeImage image_;
  std::unique_ptr<Signals> signals_ =
      *Signals::Create(loop_, {SIGCHLD}, [this](int) { children_.Reap(); });
  Timer limit_{loop_, [this] {
                 ADD_FAILURE() << "the loop was not stopped";
                 loop_.Stop();
               }};
};

TEST_F(OciRuntimeTest, TheRuntimeSeesGlobalsThenTheCommandAndItsInput) {
  OciRuntime runtime = Script("printf '%s|' \"$@\"; cat");
  const RuntimeOutcome outcome = Run(runtime, UpdateArguments("c"), "{\"cpu\":{}}");
  EXPECT_TRUE(outcome.ok) << outcome.error;
  EXPECT_THAT(outcome.output,
              ::testing::MatchesRegex(
                  "--root\\|/run/r/ns\\|--log\\|/proc/[0-9]+/fd/[0-9]+\\|--log-format\\|json\\|"
                  "update\\|--resources=-\\|c\\|\\{\"cpu\":\\{\\}\\}"));
}

TEST_F(OciRuntimeTest, ErrorTextIsTheLastLoggedOfThisCommand) {
  OciRuntime runtime = Script(R"(
while [ $# != 0 ]; do if [ "$1" = --log ]; then log=$2; fi; last=$1; shift; done
case $last in
  one) echo '{"level":"warning","msg":"no"}{"level":"error","msg":"first"}' >>"$log"; echo garbage >>"$log"
       echo '{"level":"ERROR","message":"last"}' >>"$log"; echo stderr >&2; exit 1;;
  two) echo "  said on stderr  " >&2; exit 1;;
  three) exit 3;;
  four) kill -KILL $$;;
  five) echo '{"level":"error","msg":"logged, yet a success"}' >>"$log";;
esac
)");
  EXPECT_EQ(Run(runtime, KillArguments("c", 9, false)).error, "");
  EXPECT_EQ(Run(runtime, DeleteArguments("one", false)).error, "last");
  EXPECT_EQ(*kernel::ReadFile(Bundle() + "/log.json", 1000),
            "{\"level\":\"ERROR\",\"message\":\"last\"}\n");
  EXPECT_EQ(Run(runtime, DeleteArguments("two", false)).error, "said on stderr");
  EXPECT_EQ(Run(runtime, DeleteArguments("three", false)).error, "exit status 3");
  EXPECT_EQ(Run(runtime, DeleteArguments("four", false)).error, "signal: killed");
  EXPECT_TRUE(Run(runtime, DeleteArguments("five", false)).ok);
  EXPECT_EQ(*kernel::ReadFile(Bundle() + "/log.json", 1000),
            "{\"level\":\"ERROR\",\"message\":\"last\"}\n");
}

TEST_F(OciRuntimeTest, FailuresLeaveNoFdsAndOneSmallLog) {
  OciRuntime runtime = Script(R"(
while [ $# != 0 ]; do if [ "$1" = --log ]; then log=$2; fi; shift; done
head -c 100000 /dev/zero | tr '\0' x >>"$log"; echo >>"$log"; echo '{"level":"error","msg":"no"}' >>"$log"; exit 1
)");
  const auto count_fds = [] {
    size_t count = 0;
    DIR* fds = ::opendir("/proc/self/fd");
    while (::readdir(fds) != nullptr) ++count;
    ::closedir(fds);
    return count;
  };
  const size_t before = count_fds();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Run(runtime, DeleteArguments("c", false)).error, "no");
  EXPECT_EQ(count_fds(), before);
  EXPECT_LT(kernel::ReadFile(Bundle() + "/log.json", 65536)->size(), 65536U);
}

TEST_F(OciRuntimeTest, ARuntimeThatHangsIsKilledAtTheDeadline) {
  OciRuntime runtime = Script("sleep 1000 & wait");
  const Time start = Clock::now();
  const RuntimeOutcome outcome =
      Run(runtime, DeleteArguments("c", false), std::nullopt, start + milliseconds(100));
  EXPECT_FALSE(outcome.ok);
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_THAT(outcome.error, HasSubstr("did not end in time"));
}

TEST_F(OciRuntimeTest, AMissingBinaryIsAnError) {
  OciRuntime runtime(loop_, children_, image_, {.binary = "/no/runtime", .root = "/r"}, Bundle());
  EXPECT_THAT(Run(runtime, DeleteArguments("c", false)).error, HasSubstr("/no/runtime"));
}

// What a runtime inherits, its containers do.
TEST_F(OciRuntimeTest, TheChildStartsClean) {
  ASSERT_NE(::signal(SIGPIPE, SIG_IGN), SIG_ERR);
  ASSERT_EQ(::setenv("NOTIFY_SOCKET", "/x", 1), 0);
  OciRuntime runtime = Script(
      "grep -E '^Sig(Blk|Ign|Pgn)' /proc/self/status; ls -l /proc/self/fd | grep -c -- '->'; env; "
      "ulimit -Sn");
  const RuntimeOutcome outcome = Run(runtime, DeleteArguments("c", false));
  ::signal(SIGPIPE, SIG_DFL);
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_THAT(outcome.output, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(outcome.output, HasSubstr("SigIgn:\t0000000000000000"));
  EXPECT_THAT(outcome.output, HasSubstr("\n4\n"));  // the standard three, and that of ls
  EXPECT_THAT(outcome.output, Not(HasSubstr("NOTIFY_SOCKET")));
}

// Both real runtimes through a container's life.
class RealRuntimeTest : public OciRuntimeTest, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    ASSERT_TRUE(kernel::MakeDirectories(Bundle() + "/rootfs/bin", 0755).ok());
    ASSERT_EQ(::link("/bin/busybox", (Bundle() + "/rootfs/bin/busybox").c_str()) == 0 ||
                  std::system(("cp /bin/busybox " + Bundle() + "/rootfs/bin/busybox").c_str()) == 0,
              true);
  }
  void TearDown() override { ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); }

  void WriteSpec(const std::string& command) {
    const std::string spec =
        R"({"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},"args":)" + command +
        R"(,"env":["PATH=/bin"],"cwd":"/"},"root":{"path":"rootfs"},
      "linux":{"cgroupsPath":"/gantry-shim-test-)" +
        std::to_string(::getpid()) + R"(","namespaces":[{"type":"pid"},{"type":"mount"}]},
      "mounts":[{"destination":"/proc","type":"proc","source":"proc"},{"destination":"/dev","type":"tmpfs","source":"tmpfs"}]})";
    ASSERT_TRUE(
        kernel::WriteFileAtomic(Bundle() + "/config.json", spec, 0644, kernel::Durability::kNone)
            .ok());
  }

  void WaitForOthers(size_t count) {
    Timer look(loop_, [this, &look, count] {
      children_.Reap();
      if (others_.size() >= count) return loop_.Stop();
      look.After(milliseconds(1));
    });
    look.After(milliseconds(0));
    loop_.Run();
  }

  RuntimeOutcome Create(OciRuntime& runtime) {
    RuntimeOutcome outcome;
    auto command = runtime.Spawn(
        CreateArguments({.bundle = Bundle(), .pid_file = Bundle() + "/init.pid"}, "c"),
        {.stdio = {kernel::Stdio::Null(), kernel::Stdio::Null(), kernel::Stdio::Null()}},
        Clock::now() + seconds(30));
    EXPECT_TRUE(command.ok());
    Start(FinishThenStop(loop_, *std::move(command), outcome));
    loop_.Run();
    return outcome;
  }

  static Co<void> FinishThenStop(Loop& loop, RuntimeCommand command, RuntimeOutcome& outcome) {
    outcome = co_await std::move(command).Finish();
    loop.Stop();
  }

  OciRuntime Real() {
    return OciRuntime(loop_, children_, image_,
                      {.binary = *FindBinary(GetParam()),
                       .root = dir_.path().string() + "/state",
                       .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}},
                      Bundle());
  }
};

TEST_P(RealRuntimeTest, ACreatedContainerIsStartedEndsAsOurChildAndIsDeleted) {
  WriteSpec(R"(["/bin/busybox","sh","-c","exit 7"])");
  OciRuntime runtime = Real();
  const RuntimeOutcome created = Create(runtime);
  ASSERT_TRUE(created.ok) << created.error;
  const pid_t pid = std::atoi(kernel::ReadFile(Bundle() + "/init.pid", 100)->c_str());
  ASSERT_GT(pid, 0);
  EXPECT_TRUE(runtime.Knows("c"));
  const RuntimeOutcome started = Run(runtime, {"start", "c"});
  ASSERT_TRUE(started.ok) << started.error;
  const auto is_init = [&](const Exit& exit) { return exit.pid == pid; };
  while (std::none_of(others_.begin(), others_.end(), is_init)) WaitForOthers(others_.size() + 1);
  EXPECT_EQ(std::find_if(others_.begin(), others_.end(), is_init)->status.code, 7);
  const RuntimeOutcome deleted = Run(runtime, DeleteArguments("c", false));
  EXPECT_TRUE(deleted.ok) << deleted.error;
  EXPECT_FALSE(runtime.Knows("c"));
  EXPECT_FALSE(Run(runtime, DeleteArguments("c", false)).ok);
}

TEST_P(RealRuntimeTest, ACommandThatIsNotInTheRootfsFailsWithTheRuntimesWords) {
  WriteSpec(R"(["/bin/no-such-program"])");
  OciRuntime runtime = Real();
  const RuntimeOutcome created = Create(runtime);
  EXPECT_FALSE(created.ok);
  EXPECT_THAT(created.error, HasSubstr("o such file or directory")) << created.output;
  Run(runtime, DeleteArguments("c", true));
}

INSTANTIATE_TEST_SUITE_P(Real, RealRuntimeTest, ::testing::Values("runc", "crun"),
                         [](const auto& name) { return std::string(name.param); });

}  // namespace
}  // namespace gantry::shim
