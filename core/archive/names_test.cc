// SPDX-License-Identifier: Apache-2.0
#include "core/archive/names.h"

#include <gtest/gtest.h>

namespace gantry::archive {
namespace {

TEST(NamesTest, CleanNamesStayBelowTheRoot) {
  EXPECT_EQ(CleanName("a/b/c"), "a/b/c");
  EXPECT_EQ(CleanName("./a//b/../c/"), "a/c");
  EXPECT_EQ(CleanName("/a"), "a");
  EXPECT_EQ(CleanName("../../a"), "a");
  EXPECT_EQ(CleanName("a/../../b"), "b");
  EXPECT_EQ(CleanName("a/./b/."), "a/b");
  EXPECT_EQ(CleanName("a/.../b"), "a/.../b");
  EXPECT_EQ(CleanName("..a/b.."), "..a/b..");
  for (const char* root : {"", ".", "./", "/", "//", "..", "../..", "a/..", "/../"}) {
    EXPECT_EQ(CleanName(root), "") << root;
  }
}

TEST(NamesTest, SplitAndJoin) {
  EXPECT_EQ(Split("a/b/c").parent, "a/b");
  EXPECT_EQ(Split("a/b/c").base, "c");
  EXPECT_EQ(Split("a").parent, "");
  EXPECT_EQ(Split("a").base, "a");
  EXPECT_EQ(JoinPath("", "a"), "a");
  EXPECT_EQ(JoinPath("a/b", "c"), "a/b/c");
}

TEST(NamesTest, Whiteouts) {
  EXPECT_EQ(WhiteoutOf("file"), Whiteout::kNone);
  EXPECT_EQ(WhiteoutOf(".wh"), Whiteout::kNone);
  EXPECT_EQ(WhiteoutOf("x.wh.y"), Whiteout::kNone);
  EXPECT_EQ(WhiteoutOf(".wh.file"), Whiteout::kRemove);
  EXPECT_EQ(WhiteoutTarget(".wh.file"), "file");
  EXPECT_EQ(WhiteoutOf(".wh..wh..opq"), Whiteout::kOpaque);
  EXPECT_EQ(WhiteoutOf(".wh..wh.plnk"), Whiteout::kRemove);
  EXPECT_EQ(WhiteoutOf(".wh...."), Whiteout::kRemove);
  for (const char* bad : {".wh.", ".wh..", ".wh..."}) {
    EXPECT_EQ(WhiteoutOf(bad), Whiteout::kInvalid) << bad;
  }
}

}  // namespace
}  // namespace gantry::archive
