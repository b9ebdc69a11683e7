// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/kernel/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"
#include "shim/loop/signals.h"
#include "shim/loop/wait.h"
#include "shim/process/children.h"
#include "shim/process/command.h"
#include "shim/process/helper.h"

namespace gantry::shim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class ProcessTest : public ::testing::Test {
 protected:
  ProcessTest() { limit_.After(seconds(30)); }

  // Every helper is reaped, those too that were left behind.
  void TearDown() override {
    RunUntil([this] { return children_.awaited() == 0; });
  }

  void RunUntil(const std::function<bool()>& done) {
    Timer look(loop_, [this, &look, &done] {
      children_.Reap();
      if (done()) return loop_.Stop();
      look.After(milliseconds(1));
    });
    look.After(milliseconds(0));
    loop_.Run();
  }

  static CommandOptions Shell(const std::string& script) {
    CommandOptions options;
    options.spawn.program = "/bin/sh";
    options.spawn.arguments = {"sh", "-c", script};
    options.spawn.new_session = true;
    options.spawn.stdio = {kernel::Stdio::Null(), kernel::Stdio::Pipe(), kernel::Stdio::Pipe()};
    return options;
  }

  kernel::Result<CommandOutcome> Run(CommandOptions options) {
    kernel::Result<CommandOutcome> outcome = kernel::Error{};
    Start(RunThenStop(*this, std::move(options), outcome));
    loop_.Run();
    EXPECT_EQ(children_.awaited(), 0U);
    return outcome;
  }

  kernel::Result<void> Help(std::function<kernel::Result<void>()> work, Time deadline = kNever) {
    kernel::Result<void> result = kernel::Error{};
    Start(HelpThenStop(*this, std::move(work), deadline, result));
    loop_.Run();
    while (children_.awaited() > 0) {  // its process may end after its answer
      Timer pause(loop_, [this] { loop_.Stop(); });
      pause.After(milliseconds(1));
      loop_.Run();
    }
    return result;
  }

  static Co<void> RunThenStop(ProcessTest& test, CommandOptions options,
                              kernel::Result<CommandOutcome>& outcome) {
    outcome = co_await RunCommand(test.loop_, test.children_, std::move(options));
    test.loop_.Stop();
  }

  static Co<void> HelpThenStop(ProcessTest& test, std::function<kernel::Result<void>()> work,
                               Time deadline, kernel::Result<void>& result) {
    result = co_await RunInHelper(test.loop_, test.children_, std::move(work), deadline);
    test.loop_.Stop();
  }

  std::unique_ptr<Loop> owned_ = *Loop::Create();
  Loop& loop_ = *owned_;
  std::vector<Exit> others_;
  std::set<pid_t> kept_;      // left unreaped as long as they are in here
  std::set<pid_t> expected_;  // told of although others are kept
  Children children_{
      loop_,
      OtherChildren{
          .ended = [this](const Exit& exit) { others_.push_back(exit); },
          .keep = [this](pid_t pid) { return kept_.contains(pid); },
          .awaited = [this] { return std::vector<pid_t>(expected_.begin(), expected_.end()); }}};
  std::unique_ptr<Signals> signals_ =
      *Signals::Create(loop_, {SIGCHLD}, [this](int) { children_.Reap(); });
  Timer limit_{loop_, [this] {
                 ADD_FAILURE() << "the loop was not stopped";
                 loop_.Stop();
               }};
};

TEST_F(ProcessTest, ACommandGivesItsStatusAndBothOutputs) {
  const auto outcome = Run(Shell("echo out; echo err >&2; exit 7"));
  ASSERT_TRUE(outcome.ok()) << outcome.error().Text();
  EXPECT_EQ(outcome->exit.status.code, 7);
  EXPECT_EQ(outcome->output, "out\n");
  EXPECT_EQ(outcome->error_output, "err\n");
  EXPECT_FALSE(outcome->timed_out);
  EXPECT_LT(std::chrono::system_clock::now() - outcome->exit.at, seconds(10));
}

TEST_F(ProcessTest, DeathByASignalIsTold) {
  const auto outcome = Run(Shell("kill -KILL $$"));
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->exit.status.signal, SIGKILL);
  EXPECT_EQ(outcome->exit.status.AsShellCode(), 137);
}

TEST_F(ProcessTest, WhatCannotBeStartedIsAnError) {
  CommandOptions options;
  options.spawn.program = "/nonexistent/program";
  const auto outcome = Run(std::move(options));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().err, ENOENT);
  EXPECT_THAT(outcome.error().Text(), HasSubstr("/nonexistent/program"));
}

TEST_F(ProcessTest, InputLongerThanAPipeIsFed) {
  CommandOptions options = Shell("wc -c");
  options.spawn.stdio[0] = kernel::Stdio::Pipe();
  options.input = std::string(1 << 20, 'x');
  const auto outcome = Run(std::move(options));
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->output, "1048576\n");
}

TEST_F(ProcessTest, ACommandThatDoesNotReadItsInputEnds) {
  ::signal(SIGPIPE, SIG_IGN);
  CommandOptions options = Shell("exit 3");
  options.spawn.stdio[0] = kernel::Stdio::Pipe();
  options.input = std::string(1 << 20, 'x');
  const auto outcome = Run(std::move(options));
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->exit.status.code, 3);
}

TEST_F(ProcessTest, OfTooMuchOutputTheEndIsKept) {
  CommandOptions options = Shell("head -c 1000000 /dev/zero | tr '\\0' x; echo end");
  options.max_output_bytes = 1000;
  const auto outcome = Run(std::move(options));
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->output.size(), 1000U);
  EXPECT_EQ(outcome->output.substr(995), "xend\n");
}

// A hook's child may hold the pipes of a runtime command for as long as it lives.
TEST_F(ProcessTest, TheEndOfTheProcessIsNotHeldUpByWhoKeepsItsPipes) {
  const auto outcome = Run(Shell("sleep 1000 & echo $!"));
  ASSERT_TRUE(outcome.ok());
  const pid_t left = std::atoi(outcome->output.c_str());
  ASSERT_GT(left, 0);
  EXPECT_EQ(::kill(left, SIGKILL), 0);
}

TEST_F(ProcessTest, AtTheDeadlineTheGroupIsKilled) {
  CommandOptions options = Shell("sleep 1000 & echo $!; wait");
  options.deadline = Clock::now() + milliseconds(200);
  const auto outcome = Run(std::move(options));
  ASSERT_TRUE(outcome.ok());
  EXPECT_TRUE(outcome->timed_out);
  EXPECT_EQ(outcome->exit.status.signal, SIGKILL);
  const pid_t left = std::atoi(outcome->output.c_str());
  ASSERT_GT(left, 0);
  RunUntil([left] {
    const auto stat = kernel::ReadFile("/proc/" + std::to_string(left) + "/stat", 4096);
    return !stat.ok() || stat->find(") Z") != std::string::npos;
  });
}

TEST_F(ProcessTest, OrphansAreReapedAndToldAsOthers) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  const auto outcome = Run(Shell("for i in 1 2 3 4 5; do sh -c 'exit 9' & done"));
  ASSERT_TRUE(outcome.ok());
  RunUntil([this] { return others_.size() == 5; });
  ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
  ASSERT_EQ(others_.size(), 5U);
  for (const Exit& exit : others_) EXPECT_EQ(exit.status.code, 9);
}

TEST_F(ProcessTest, WhatIsKeptHidesNobodyWhoIsAwaited) {
  const auto begin = [](int code) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(code);
    return pid;
  };
  const auto ended = [](pid_t pid) {
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  };
  const pid_t kept = begin(1);
  kept_ = {kept};
  ended(kept);
  const pid_t expected = begin(2);
  expected_ = {expected};
  ended(expected);
  CommandOptions options;
  options.spawn.program = "/bin/true";
  EXPECT_TRUE(Run(std::move(options))->exit.status.success());
  RunUntil([this] { return !others_.empty(); });
  ASSERT_EQ(others_.size(), 1U);
  EXPECT_EQ(others_[0].status.code, 2);
  EXPECT_EQ(::kill(kept, 0), 0);  // its pid is still its own

  const auto taken = Children::Take(kept);
  ASSERT_TRUE(taken.ok() && taken->has_value());
  EXPECT_EQ((*taken)->status.code, 1);
  EXPECT_EQ(Children::Take(kept).error().err, ECHILD);

  const pid_t later = begin(3);
  kept_ = {later};
  ended(later);
  children_.Reap();
  EXPECT_EQ(others_.size(), 1U);
  kept_.clear();
  children_.Reap();
  ASSERT_EQ(others_.size(), 2U);
  EXPECT_EQ(others_[1].pid, later);
}

Co<void> CountCommands(Loop& loop, Children& children, CommandOptions options, int& left) {
  const auto outcome = co_await RunCommand(loop, children, std::move(options));
  EXPECT_TRUE(outcome.ok() && outcome->exit.status.success());
  if (--left == 0) loop.Stop();
}

TEST_F(ProcessTest, ManyCommandsAtOnceLoseNoExit) {
  int left = 200;
  for (int i = 0; i < 200; ++i) {
    CommandOptions options;
    options.spawn.program = "/bin/true";
    Start(CountCommands(loop_, children_, std::move(options), left));
  }
  loop_.Run();
  EXPECT_EQ(left, 0);
  EXPECT_TRUE(others_.empty());
}

TEST_F(ProcessTest, AHelperTellsSuccessAndFailure) {
  EXPECT_TRUE(Help([] { return kernel::Result<void>(); }).ok());
  const auto failed = Help([]() -> kernel::Result<void> {
    return kernel::Error{EBUSY, "umount /x"};
  });
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().Text(), "umount /x: Device or resource busy");
}

TEST_F(ProcessTest, AHelperHasItsOwnDirectoryAndOfOurFdsTheStandardOnesAlone) {
  kernel::UniqueFd ours(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = ours.get();
  const auto done = Help([number]() -> kernel::Result<void> {
    if (::fcntl(number, F_GETFD) >= 0 && number != 3) return kernel::Error{EEXIST, "inherited fd"};
    if (::chdir("/proc") != 0) return kernel::LastError("chdir");
    return {};
  });
  EXPECT_TRUE(done.ok()) << done.error().Text();
  EXPECT_NE(::access("version", F_OK), 0);
}

TEST_F(ProcessTest, AHelperThatDiesIsAnError) {
  const auto failed = Help([]() -> kernel::Result<void> {
    ::kill(::getpid(), SIGKILL);
    return {};
  });
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().err, EIO);
}

TEST_F(ProcessTest, AHelperThatHangsIsLeftBehindAtTheDeadline) {
  const auto failed = Help(
      []() -> kernel::Result<void> {
        ::pause();
        return {};
      },
      Clock::now() + milliseconds(100));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().err, ETIMEDOUT);
  // It ends, and is reaped as a helper.
  RunUntil([this] { return children_.awaited() == 0; });
  EXPECT_TRUE(others_.empty());
}

}  // namespace
}  // namespace gantry::shim
