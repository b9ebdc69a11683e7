// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/flags.h"

#include <gmock/gmock.h>

#include "core/kernel/testing/matchers.h"
#include "shim/launch/testing/launch_fixture.h"

namespace gantry::shim {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;
using ::testing::HasSubstr;

TEST(FlagsTest, AValueStandsBehindOrAfterAnEqualsSignWithOneDashOrTwo) {
  for (const std::vector<std::string_view>& arguments :
       {std::vector<std::string_view>{"-id", "x"}, {"--id", "x"}, {"-id=x"}, {"--id=x"}}) {
    const auto flags = ParseFlags(arguments);
    ASSERT_THAT(flags, Succeeds());
    EXPECT_EQ(flags->id, "x");
  }
}

TEST(FlagsTest, ADaemonsCommandLine) {
  const auto flags =
      ParseFlags({"-namespace", "ns", "-address", "/run/d.sock", "-publish-binary", "/bin/d", "-id",
                  "c", "-bundle", "/b", "-debug", "delete", "-id", "other"});
  ASSERT_THAT(flags, Succeeds());
  EXPECT_EQ(flags->ns, "ns");
  EXPECT_EQ(flags->address, "/run/d.sock");
  EXPECT_EQ(flags->publish_binary, "/bin/d");
  EXPECT_EQ(flags->id, "c");  // what follows the action is not read
  EXPECT_EQ(flags->bundle, "/b");
  EXPECT_TRUE(flags->debug);
  EXPECT_EQ(flags->action, "delete");
}

TEST(FlagsTest, EveryFlagIsKnown) {
  const auto flags =
      ParseFlags({"-debug", "-v", "-version", "-info", "-namespace=", "-id=", "-socket=s",
                  "-debug-socket=d", "-bundle=", "-address=", "-publish-binary="});
  ASSERT_THAT(flags, Succeeds());
  EXPECT_TRUE(flags->version);
  EXPECT_TRUE(flags->info);
  EXPECT_EQ(flags->socket, "s");
  EXPECT_EQ(flags->debug_socket, "d");
  EXPECT_EQ(flags->action, "");
}

TEST(FlagsTest, SwitchesTakeNoFollowingValue) {
  auto flags = ParseFlags({"-debug", "start"});
  ASSERT_THAT(flags, Succeeds());
  EXPECT_TRUE(flags->debug);
  EXPECT_EQ(flags->action, "start");
  flags = ParseFlags({"-debug=false", "--", "start"});
  ASSERT_THAT(flags, Succeeds());
  EXPECT_FALSE(flags->debug);
  EXPECT_EQ(flags->action, "start");
  EXPECT_THAT(ParseFlags({"-debug=maybe"}), FailsWith(EINVAL));
}

TEST(FlagsTest, UnknownAndIncompleteFlagsAreErrors) {
  for (const std::vector<std::string_view>& arguments :
       {std::vector<std::string_view>{"-nope", "start"}, {"-id"}, {"---id", "x"}, {"-=x"}}) {
    EXPECT_THAT(ParseFlags(arguments), FailsWith(EINVAL));
  }
  EXPECT_THAT(ParseFlags({"-nope"}).error().what, HasSubstr("-nope"));
}

class CommandLineTest : public testing::LaunchFixture {};

TEST_F(CommandLineTest, AnUnknownFlagGivesTheUsageOnStandardError) {
  const auto ran = Run({FakeShim(), "-nope", "start"}, root_);
  EXPECT_EQ(ran.status.code, 2);
  EXPECT_EQ(ran.output, "");
  EXPECT_THAT(ran.errors, HasSubstr("-publish-binary"));
}

TEST_F(CommandLineTest, WithoutNamespaceOnlyVersionAndInfoWork) {
  for (const char* action : {"start", "delete"}) {
    const auto ran = Run({FakeShim(), "-id", "c1", action}, Bundle("c1"));
    EXPECT_EQ(ran.status.code, 1);
    EXPECT_THAT(ran.errors, HasSubstr("-namespace"));
  }
  EXPECT_EQ(Run({FakeShim()}, root_).status.code, 1);
  for (const char* flag : {"-v", "-version", "--version"}) {
    const auto ran = Run({FakeShim(), flag}, root_);
    EXPECT_EQ(ran.status.code, 0);
    EXPECT_THAT(ran.output, HasSubstr("1.2.3"));
    EXPECT_THAT(ran.output, HasSubstr("abcdef"));
  }
}

TEST_F(CommandLineTest, IdsThatWouldBePathsAreRefused) {
  for (const std::string& id :
       std::vector<std::string>{"../c1", "a/b", "-x", "a..b", "a-", std::string(77, 'a')}) {
    const auto ran = Run({FakeShim(), "-namespace", "k8s.io", "-id=" + id, "delete"}, Bundle("c1"));
    EXPECT_EQ(ran.status.code, 1) << id;
    EXPECT_THAT(ran.errors, HasSubstr("identifier"));
  }
}

TEST_F(CommandLineTest, AnUnknownActionIsAnError) {
  const auto ran = Run(Arguments("c1", "dance"), Bundle("c1"));
  EXPECT_EQ(ran.status.code, 1);
  EXPECT_THAT(ran.errors, HasSubstr("dance"));
}

}  // namespace
}  // namespace gantry::shim
