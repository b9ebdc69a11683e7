// SPDX-License-Identifier: Apache-2.0
#include "core/diff/overlay_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gantry::diff {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

TEST(OverlayOptionsTest, DirectoriesAndFlags) {
  const auto overlay = ParseOverlay({.type = "overlay",
                                     .source = "overlay",
                                     .target = "",
                                     .options = {"workdir=/w", "upperdir=/u", "lowerdir=/a:/b",
                                                 "userxattr", "index=off", "uidmap=0:1:1"}});
  ASSERT_TRUE(overlay);
  EXPECT_EQ(overlay->upper, "/u");
  EXPECT_THAT(overlay->lower, ElementsAre("/a", "/b"));
  EXPECT_TRUE(overlay->user_xattr);
  EXPECT_TRUE(overlay->index_off);
  EXPECT_TRUE(overlay->id_mapped);
  const auto plain = ParseOverlay({.type = "overlay", .options = {"upperdir=/u"}});
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->lower.empty());
  EXPECT_FALSE(plain->user_xattr || plain->index_off || plain->id_mapped);
}

TEST(OverlayOptionsTest, LowerDirectoriesMayHoldColons) {
  EXPECT_THAT(SplitLowerDirs("/a:/b"), ElementsAre("/a", "/b"));
  EXPECT_THAT(SplitLowerDirs(R"(/a\:b:/c\\d)"), ElementsAre("/a:b", R"(/c\d)"));
}

TEST(OverlayOptionsTest, WhatIsNotUnderstoodIsNothing) {
  EXPECT_FALSE(ParseOverlay({.type = "bind", .source = "/s"}));
  EXPECT_FALSE(ParseOverlay({.type = "overlay", .options = {"lowerdir=a:b"}}));
  EXPECT_FALSE(ParseOverlay({.type = "overlay", .options = {"upperdir=u", "lowerdir=/a"}}));
  EXPECT_FALSE(ParseOverlay({.type = "overlay", .options = {"lowerdir+=/a", "upperdir=/u"}}));
  EXPECT_FALSE(ParseOverlay({.type = "overlay", .options = {"lowerdir=/a::/data"}}));
}

TEST(OverlayOptionsTest, PlainBinds) {
  EXPECT_TRUE(IsPlainBind({.type = "bind", .source = "/s", .options = {"rw", "rbind"}}));
  EXPECT_TRUE(IsPlainBind({.type = "none", .source = "/s", .options = {"bind"}}));
  EXPECT_FALSE(IsPlainBind({.type = "bind", .source = "/s", .options = {"ro", "rbind"}}));
  EXPECT_FALSE(IsPlainBind({.type = "bind", .source = "/s", .options = {"rbind", "uidmap=0:1:1"}}));
  EXPECT_FALSE(IsPlainBind({.type = "ext4", .source = "/dev/x"}));
}

TEST(OverlayOptionsTest, OptionsOfTheMountManagerAreNotSwallowed) {
  EXPECT_FALSE(IsPlainBind({.type = "bind", .source = "/s", .options = {"rw", "X-containerd.x"}}));
  EXPECT_FALSE(ParseOverlay({.type = "overlay", .options = {"upperdir=/u", "X-containerd.x=1"}}));
  EXPECT_FALSE(
      ShownDirectories({.type = "bind", .source = "/s", .options = {"rbind", "X-containerd.x"}}));
}

TEST(OverlayOptionsTest, ShownDirectories) {
  EXPECT_THAT(ShownDirectories({.type = "bind", .source = "/s", .options = {"ro", "rbind"}}),
              Optional(ElementsAre("/s")));
  EXPECT_THAT(ShownDirectories({.type = "overlay", .options = {"lowerdir=/a:/b"}}),
              Optional(ElementsAre("/a", "/b")));
  EXPECT_FALSE(ShownDirectories({.type = "overlay", .options = {"lowerdir=/a", "upperdir=/u"}}));
  EXPECT_FALSE(ShownDirectories({.type = "overlay", .options = {"lowerdir=/a", "uidmap=0:1:1"}}));
}

}  // namespace
}  // namespace gantry::diff
