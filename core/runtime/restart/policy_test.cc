// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/restart/policy.h"

#include "core/base/testing/matchers.h"
#include "gtest/gtest.h"

namespace gantry::runtime::restart {
namespace {

using ::gantry::testing::StatusIs;

Labels Wanted(std::string_view status, std::string_view policy, Labels more = {}) {
  more[std::string(kStatusLabel)] = status;
  if (!policy.empty()) more[std::string(kPolicyLabel)] = policy;
  return more;
}

ProcessState Task(Status status, uint32_t exit_status = 0) {
  return {.id = "c", .pid = 1, .status = status, .exit_status = exit_status};
}

TEST(PolicyTest, ReadsWhatClientsWrite) {
  using Kind = Policy::Kind;
  EXPECT_EQ(*ParsePolicy(""), (Policy{.kind = Kind::kAlways}));
  EXPECT_EQ(*ParsePolicy("always"), (Policy{.kind = Kind::kAlways}));
  EXPECT_EQ(*ParsePolicy("no"), (Policy{.kind = Kind::kNo}));
  EXPECT_EQ(*ParsePolicy("unless-stopped"), (Policy{.kind = Kind::kUnlessStopped}));
  EXPECT_EQ(*ParsePolicy("on-failure"), (Policy{.kind = Kind::kOnFailure}));
  EXPECT_EQ(*ParsePolicy("on-failure:10"), (Policy{.kind = Kind::kOnFailure, .max_restarts = 10}));
}

TEST(PolicyTest, RefusesAnythingElse) {
  for (const char* text : {"unknown", "always:3", "no:1", "on-failure:", "on-failure:x",
                           "on-failure:-1", "on-failure:1x", "on-failurex", "Always", " always"}) {
    EXPECT_THAT(ParsePolicy(text), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
}

TEST(DecideTest, OnlyContainersWithAStatusThatCanBeReachedAreWatched) {
  EXPECT_FALSE(IsWatched({}));
  EXPECT_FALSE(IsWatched({{std::string(kPolicyLabel), "always"}}));
  EXPECT_FALSE(IsWatched(Wanted("paused", "")));
  EXPECT_TRUE(IsWatched(Wanted("running", "")));
  EXPECT_TRUE(IsWatched(Wanted("stopped", "")));
  EXPECT_EQ(*Decide({}, std::nullopt), Action::kLeave);
}

TEST(DecideTest, StartsWhatShouldRunAndDoesNot) {
  const Labels always = Wanted("running", "always");
  EXPECT_EQ(*Decide(always, std::nullopt), Action::kStart);
  EXPECT_EQ(*Decide(always, Task(Status::kStopped)), Action::kStart);
  EXPECT_EQ(*Decide(always, Task(Status::kCreated)), Action::kStart);
  EXPECT_EQ(*Decide(Wanted("running", ""), Task(Status::kStopped)), Action::kStart);
}

TEST(DecideTest, LeavesWhatRunsOrIsPaused) {
  for (const Status status : {Status::kRunning, Status::kPaused, Status::kPausing}) {
    EXPECT_EQ(*Decide(Wanted("running", "always"), Task(status)), Action::kLeave);
  }
  EXPECT_EQ(*Decide(Wanted("running", "no"), Task(Status::kStopped)), Action::kLeave);
}

TEST(DecideTest, StopsWhatShouldNotRun) {
  const Labels stopped = Wanted("stopped", "always");
  for (const Status status : {Status::kRunning, Status::kPaused, Status::kCreated}) {
    EXPECT_EQ(*Decide(stopped, Task(status)), Action::kStop);
  }
  EXPECT_EQ(*Decide(stopped, Task(Status::kStopped)), Action::kLeave);
  EXPECT_EQ(*Decide(stopped, std::nullopt), Action::kLeave);
}

TEST(DecideTest, OnFailureCountsFailures) {
  const auto counted = [](std::string_view policy, std::string_view count) {
    return Wanted("running", policy, {{std::string(kCountLabel), std::string(count)}});
  };
  const ProcessState failed = Task(Status::kStopped, 1);
  EXPECT_EQ(*Decide(Wanted("running", "on-failure:3"), failed), Action::kStart);
  EXPECT_EQ(*Decide(counted("on-failure:3", "2"), failed), Action::kStart);
  EXPECT_EQ(*Decide(counted("on-failure:3", "3"), failed), Action::kLeave);
  EXPECT_EQ(*Decide(counted("on-failure", "1000"), failed), Action::kStart);
  EXPECT_EQ(*Decide(counted("on-failure:3", "0"), Task(Status::kStopped, 0)), Action::kLeave);
  EXPECT_EQ(*Decide(Wanted("running", "on-failure"), std::nullopt), Action::kLeave);
  EXPECT_THAT(Decide(counted("on-failure:3", "many"), failed),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(DecideTest, UnlessStoppedRespectsTheStop) {
  const auto marked = [](std::string_view mark) {
    return Wanted("running", "unless-stopped",
                  {{std::string(kExplicitlyStoppedLabel), std::string(mark)}});
  };
  EXPECT_EQ(*Decide(Wanted("running", "unless-stopped"), Task(Status::kStopped)), Action::kStart);
  for (const char* mark : {"true", "1", "T", "True"}) {
    EXPECT_EQ(*Decide(marked(mark), Task(Status::kStopped)), Action::kLeave) << mark;
  }
  for (const char* mark : {"false", "0", "yes", "tRUE"}) {
    EXPECT_EQ(*Decide(marked(mark), Task(Status::kStopped)), Action::kStart) << mark;
  }
  // The mark is that policy's alone.
  Labels always = marked("true");
  always[std::string(kPolicyLabel)] = "always";
  EXPECT_EQ(*Decide(always, Task(Status::kStopped)), Action::kStart);
}

TEST(DecideTest, APolicyThatIsNoneIsAnError) {
  EXPECT_THAT(Decide(Wanted("running", "sometimes"), std::nullopt),
              StatusIs(absl::StatusCode::kInvalidArgument));
  // While it runs, nobody needs to know.
  EXPECT_EQ(*Decide(Wanted("running", "sometimes"), Task(Status::kRunning)), Action::kLeave);
}

TEST(StdioTest, OutputGoesToTheLogUri) {
  const Labels labels = {{std::string(kLogUriLabel), "binary:///log"},
                         {std::string(kLogPathLabel), "/old"}};
  const Stdio piped = StdioFor(labels, false);
  EXPECT_EQ(piped.in + "|" + piped.out + "|" + piped.err, "|binary:///log|binary:///log");
  EXPECT_FALSE(piped.terminal);
  const Stdio terminal = StdioFor(labels, true);
  EXPECT_EQ(terminal.out + "|" + terminal.err, "binary:///log|");
  EXPECT_TRUE(terminal.terminal);
  EXPECT_EQ(StdioFor({{std::string(kLogPathLabel), "/old"}}, false).out, "file:///old");
  const Stdio none = StdioFor({}, true);
  EXPECT_EQ(none.out + none.err, "");
  EXPECT_FALSE(none.terminal);
}

}  // namespace
}  // namespace gantry::runtime::restart
