// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/cli/command_line.h"

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/client/session.h"
#include "core/base/testing/matchers.h"

namespace gantry::gctr {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::StatusIs;

// A small gctr: "run" with a program behind two arguments, "images ls", and a flag for a group.
class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() : line_("1.2.3"), session_({}, false, {}) {
    CommandGroup root = line_.Root();
    root.app().add_option("-n,--namespace", ns_);
    root.app().add_flag("--debug", debug_);
    CLI::App& run = root.Add({.names = {"run"}, .help = "", .arguments = "x", .program_from = 2},
                             arguments_, Done("run"));
    run.add_flag("-d,--detach", detach_);
    run.add_flag("-t,--tty", tty_);
    AddList(run, "--env", env_, "");
    AddDuration(run, "--wait", wait_, "");
    run.add_option_function<std::string>("--cgroup",
                                         [this](const std::string& path) { cgroup_ = path; });
    CommandGroup images = root.AddGroup({.names = {"images", "i"}, .help = ""});
    images.app().add_option("--snapshotter", snapshotter_);
    CLI::App& list = images.Add({.names = {"list", "ls"}, .help = "", .arguments = "x"}, arguments_,
                                Done("images list"));
    list.add_flag("-q,--quiet", quiet_);
    images.Add({.names = {"check"}, .help = ""}, arguments_, Done("images check"));
    images.AddUnserved({.names = {"pull"}, .help = ""});
  }

  Action Done(const std::string& name) {
    return [this, name](Session&) -> absl::StatusOr<int> {
      ran_ = name;
      return 0;
    };
  }

  absl::Status Run(const std::vector<std::string>& words) {
    const CommandLine::Parsed parsed = line_.Parse(words);
    exit_status_ = parsed.exit_status;
    return parsed.action ? parsed.action(session_).status() : absl::OkStatus();
  }

  CommandLine line_;
  Session session_;
  std::string ran_, ns_, snapshotter_;
  std::optional<std::string> cgroup_;
  std::vector<std::string> arguments_, env_;
  bool debug_ = false, detach_ = false, tty_ = false, quiet_ = false;
  absl::Duration wait_;
  int exit_status_ = 0;
};

TEST_F(CommandLineTest, WhatFollowsTheProgramIsNotLookedAt) {
  EXPECT_THAT(Run({"run", "--env", "A=1", "-dt", "image", "--env=B=2", "id", "sh", "-c", "exit 5",
                   "-d", "--", "images", "[x]", "--debug"}),
              testing::IsOk());
  EXPECT_EQ(ran_, "run");
  EXPECT_THAT(arguments_, ElementsAre("image", "id", "sh", "-c", "exit 5", "-d", "--", "images",
                                      "[x]", "--debug"));
  EXPECT_THAT(env_, ElementsAre("A=1", "B=2"));
  EXPECT_TRUE(detach_);
  EXPECT_TRUE(tty_);
  EXPECT_FALSE(debug_);
}

TEST_F(CommandLineTest, FlagsStandAnywhereBeforeTheProgram) {
  EXPECT_THAT(Run({"images", "ls", "a", "-q", "-nother", "run", "--snapshotter", "native"}),
              testing::IsOk());
  EXPECT_EQ(ran_, "images list");
  EXPECT_THAT(arguments_, ElementsAre("a", "run"));
  EXPECT_TRUE(quiet_);
  EXPECT_EQ(ns_, "other");
  EXPECT_EQ(snapshotter_, "native");
}

TEST_F(CommandLineTest, AfterTwoDashesNothingIsAFlag) {
  EXPECT_THAT(Run({"--debug", "i", "ls", "--", "-q", "x"}), testing::IsOk());
  EXPECT_THAT(arguments_, ElementsAre("-q", "x"));
  EXPECT_TRUE(debug_);
  EXPECT_FALSE(quiet_);
}

TEST_F(CommandLineTest, OfValuesGivenTwiceTheLastCounts) {
  EXPECT_THAT(Run({"-n", "a", "images", "ls", "-n=b", "-q", "--quiet=false"}), testing::IsOk());
  EXPECT_EQ(ns_, "b");
  EXPECT_FALSE(quiet_);
}

TEST_F(CommandLineTest, EmptyValuesAreValues) {
  EXPECT_THAT(Run({"run", "--cgroup=", "-n", "", "image", "id"}), testing::IsOk());
  EXPECT_EQ(cgroup_, "");
  EXPECT_EQ(ns_, "");
  EXPECT_THAT(arguments_, ElementsAre("image", "id"));
}

TEST_F(CommandLineTest, DurationsAreGoDurations) {
  EXPECT_THAT(Run({"run", "--wait", "1h30m", "image", "id"}), testing::IsOk());
  EXPECT_EQ(wait_, absl::Minutes(90));
  Run({"run", "--wait", "soon", "image", "id"}).IgnoreError();
  EXPECT_EQ(exit_status_, 1);
}

TEST_F(CommandLineTest, MistakesAreRefused) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"run", "--what", "image", "id"},
        {"absent"},
        {"images", "absent"},
        {"images"},
        {},
        {"images", "check", "x"},
        {"images", "ls", "-x"}}) {
    EXPECT_THAT(Run(words), testing::IsOk());
    EXPECT_EQ(exit_status_, 1) << ::testing::PrintToString(words);
  }
  EXPECT_THAT(ran_, IsEmpty());
}

TEST_F(CommandLineTest, HelpIsNoMistake) {
  EXPECT_THAT(Run({"images", "ls", "--help"}), testing::IsOk());
  EXPECT_EQ(exit_status_, 0);
  EXPECT_THAT(ran_, IsEmpty());
}

TEST_F(CommandLineTest, UnservedCommandsSayTheirName) {
  EXPECT_THAT(Run({"images", "pull", "--plain-http", "x"}),
              StatusIs(absl::StatusCode::kUnimplemented, "images pull: not served yet"));
}

}  // namespace
}  // namespace gantry::gctr
