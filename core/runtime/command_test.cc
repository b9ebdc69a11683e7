// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/command.h"

#include <signal.h>

#include <cerrno>
#include <charconv>
#include <future>

#include "absl/time/clock.h"
#include "core/base/testing/matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::runtime {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;

class CommandTest : public ::testing::Test {
 protected:
  static Command Shell(std::string script) {
    Command command;
    command.spawn.program = "/bin/sh";
    command.spawn.arguments = {"/bin/sh", "-c", std::move(script)};
    return command;
  }

  absl::StatusOr<CommandOutput> Run(Command command) {
    std::promise<absl::StatusOr<CommandOutput>> result;
    RunCommand(*loop_, std::move(command),
               [&](absl::StatusOr<CommandOutput> output) { result.set_value(std::move(output)); });
    return result.get_future().get();
  }

  std::unique_ptr<Loop> loop_ = *Loop::Start("test");
};

TEST_F(CommandTest, PassesInputAndGathersBothStreams) {
  Command command = Shell("cat; echo problem >&2; exit 3");
  command.input = std::string(300'000, 'i');
  const auto output = Run(std::move(command));
  ASSERT_THAT(output, IsOk());
  EXPECT_EQ(output->output, std::string(300'000, 'i'));
  EXPECT_EQ(output->errors, "problem\n");
  EXPECT_EQ(output->status.code, 3);
}

TEST_F(CommandTest, MergesErrorsInOrder) {
  Command command = Shell("echo a; echo b >&2; echo c");
  command.merge_errors = true;
  const auto output = Run(std::move(command));
  ASSERT_THAT(output, IsOk());
  EXPECT_EQ(output->output, "a\nb\nc\n");
  EXPECT_EQ(output->errors, "");
}

TEST_F(CommandTest, DoesNotWaitForAChildThatKeepsTheStreamsOpen) {
  const absl::Time start = absl::Now();
  const auto output = Run(Shell("sleep 30 & echo $!"));
  ASSERT_THAT(output, IsOk());
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  pid_t child = 0;
  std::from_chars(output->output.data(), output->output.data() + output->output.size(), child);
  ASSERT_GT(child, 1);
  EXPECT_EQ(::kill(child, SIGKILL), 0);
}

TEST_F(CommandTest, KillsTheWholeGroupWhenTheBudgetIsUsedUp) {
  Command command = Shell("echo $$; sleep 30 & sleep 30");
  command.budget = absl::Milliseconds(100);
  EXPECT_THAT(Run(std::move(command)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("/bin/sh")));
}

TEST_F(CommandTest, KillsAProgramThatWritesTooMuch) {
  Command command = Shell("yes");
  command.max_output_bytes = 100'000;
  EXPECT_THAT(Run(std::move(command)), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(CommandTest, ReportsAProgramThatIsNotThere) {
  Command command;
  command.spawn.program = "/nonexistent/program";
  EXPECT_THAT(Run(std::move(command)), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace gantry::runtime
