// SPDX-License-Identifier: Apache-2.0
#include "core/platform/platform.h"

#include <gmock/gmock.h>

#include "core/base/testing/matchers.h"
#include "core/platform/matcher.h"

namespace gantry {
namespace {

using testing::StatusIs;

Platform Parse(std::string_view text) {
  const absl::StatusOr<Platform> platform = ParsePlatform(text);
  EXPECT_THAT(platform, testing::IsOk()) << text;
  return platform.value_or(Platform{});
}

std::optional<size_t> Rank(const PlatformMatcher& matcher, std::string_view text) {
  return matcher.Rank(Parse(text));
}

TEST(PlatformTest, SynonymsBecomeGoNames) {
  EXPECT_EQ(FormatPlatform(Parse("Linux/x86_64")), "linux/amd64");
  EXPECT_EQ(FormatPlatform(Parse("linux/aarch64")), "linux/arm64");
  EXPECT_EQ(FormatPlatform(Parse("linux/arm64/8")), "linux/arm64/v8");
  EXPECT_EQ(FormatPlatform(Parse("linux/armhf")), "linux/arm");
  EXPECT_EQ(FormatPlatform(Parse("linux/arm/6")), "linux/arm/v6");
  EXPECT_EQ(FormatPlatform(Parse("macos/amd64/v1")), "darwin/amd64");
  EXPECT_EQ(FormatPlatform(Platform{}), "unknown");
}

TEST(PlatformTest, OnePartTakesTheOtherFromTheHost) {
  EXPECT_EQ(Parse("linux"), HostPlatform());
  EXPECT_EQ(FormatPlatform(Parse("s390x")), "linux/s390x");
}

TEST(PlatformTest, WhatIsNoPlatformIsRefused) {
  for (const char* text : {"", "vax", "linux/*", "a/b/c/d", "linux/", "/amd64"}) {
    EXPECT_THAT(ParsePlatform(text), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
}

TEST(PlatformTest, OlderMachinesImagesRunOnNewerOnes) {
  const PlatformMatcher amd64 = PlatformMatcher::Only(Parse("linux/amd64"));
  EXPECT_EQ(Rank(amd64, "linux/amd64"), 0);
  EXPECT_EQ(Rank(amd64, "linux/386"), 1);
  EXPECT_EQ(Rank(amd64, "linux/amd64/v2"), std::nullopt);
  EXPECT_EQ(Rank(amd64, "windows/amd64"), std::nullopt);
  EXPECT_EQ(Rank(PlatformMatcher::Only(Parse("linux/amd64/v3")), "linux/amd64"), 2);

  const PlatformMatcher arm64 = PlatformMatcher::Only(Parse("linux/arm64/v9.1"));
  EXPECT_EQ(Rank(arm64, "linux/arm64/v9.1"), 0);
  EXPECT_EQ(Rank(arm64, "linux/arm64/v8.6"), 2);
  EXPECT_EQ(Rank(arm64, "linux/arm64"), 8);
  EXPECT_EQ(Rank(arm64, "linux/arm/v5"), 12);
  EXPECT_EQ(Rank(PlatformMatcher::Only(Parse("linux/arm64/v42")), "linux/arm64/v42"), std::nullopt);
}

TEST(PlatformTest, StrictTakesNothingElse) {
  const PlatformMatcher strict = PlatformMatcher::Strict(Parse("linux/amd64"));
  EXPECT_EQ(Rank(strict, "linux/amd64/v1"), 0);
  EXPECT_EQ(Rank(strict, "linux/386"), std::nullopt);
  EXPECT_TRUE(PlatformMatcher::All().Matches(Parse("plan9/arm")));
}

TEST(PlatformTest, AnImageThatNeedsFeaturesDoesNotRunWithoutThem) {
  Platform special = Parse("linux/amd64");
  special.os_features = {"erofs"};
  EXPECT_FALSE(PlatformMatcher::Only(Parse("linux/amd64")).Matches(special));
  EXPECT_TRUE(PlatformMatcher::Only(special).Matches(Parse("linux/amd64")));
}

}  // namespace
}  // namespace gantry
