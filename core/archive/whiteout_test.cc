// SPDX-License-Identifier: Apache-2.0
// Deletions, in both forms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/archive/testing/apply_fixture.h"
#include "core/base/testing/matchers.h"

namespace gantry::archive {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;

class WhiteoutTest : public ApplyFixture {
 protected:
  void SetUp() override {
    ApplyFixture::SetUp();
    if (IsSkipped()) return;
    std::filesystem::create_directories(root_ / "d/sub/deep");
    WriteText(root_ / "d/old", "old");
    WriteText(root_ / "d/sub/old", "old");
    WriteText(root_ / "d/sub/deep/old", "old");
    WriteText(root_ / "file", "old");
  }
};

TEST_F(WhiteoutTest, RemovesFilesTreesAndToleratesAbsence) {
  ASSERT_THAT(Unpack(TarBuilder().File(".wh.file").File("d/.wh.sub").File("d/.wh.absent")), IsOk());
  EXPECT_THAT(PathsIn(root_), ElementsAre("d", "d/old"));
}

TEST_F(WhiteoutTest, AWhiteoutBelowAMissingDirectoryMakesTheDirectory) {
  ASSERT_THAT(Unpack(TarBuilder().File("new/dir/.wh.x")), IsOk());
  EXPECT_TRUE(Exists(root_ / "new/dir"));
}

TEST_F(WhiteoutTest, NamesThatLeaveTheirDirectoryAreRefused) {
  for (const char* base : {".wh.", ".wh..", ".wh..."}) {
    for (const ApplyOptions& options : {ApplyOptions{}, OverlayOptions()}) {
      EXPECT_THAT(Unpack(TarBuilder().File(std::string("d/") + base), options),
                  StatusIs(absl::StatusCode::kInvalidArgument))
          << base;
    }
  }
  EXPECT_TRUE(Exists(root_ / "d/old"));
}

TEST_F(WhiteoutTest, OpaqueBeforeTheEntriesOfTheSameLayer) {
  ASSERT_THAT(Unpack(TarBuilder().File("d/.wh..wh..opq").File("d/new").File("d/sub/new")), IsOk());
  EXPECT_THAT(PathsIn(root_), ElementsAre("d", "d/new", "d/sub", "d/sub/new", "file"));
}

TEST_F(WhiteoutTest, OpaqueAfterTheEntriesOfTheSameLayer) {
  ASSERT_THAT(Unpack(TarBuilder()
                         .Dir("d/")
                         .File("d/new")
                         .File("d/sub/deep/new")
                         .File("d/.wh..wh..opq")
                         .File("d/newer")),
              IsOk());
  // The directories on the way to a kept entry stay, though the layer has none for them.
  EXPECT_THAT(PathsIn(root_), ElementsAre("d", "d/new", "d/newer", "d/sub", "d/sub/deep",
                                          "d/sub/deep/new", "file"));
}

TEST_F(WhiteoutTest, OpaqueKeepsReplacedEntriesAndMergedDirectories) {
  ASSERT_THAT(Unpack(TarBuilder().File("d/old", "new").Dir("d/sub/").File("d/.wh..wh..opq")),
              IsOk());
  EXPECT_THAT(PathsIn(root_), ElementsAre("d", "d/old", "d/sub", "file"));
  EXPECT_EQ(ReadText(root_ / "d/old"), "new");
}

TEST_F(WhiteoutTest, OpaqueThroughASymlinkStaysInside) {
  ASSERT_THAT(Unpack(TarBuilder().Symlink("link", "/d/sub").File("link/.wh..wh..opq")), IsOk());
  EXPECT_THAT(PathsIn(root_), ElementsAre("d", "d/old", "d/sub", "file", "link"));
}

TEST_F(WhiteoutTest, OpaqueOfTheRoot) {
  ASSERT_THAT(Unpack(TarBuilder().File("new").File(".wh..wh..opq").File(".wh..wh..opq")), IsOk());
  EXPECT_THAT(PathsIn(root_), ElementsAre("new"));
}

TEST_F(WhiteoutTest, OtherMetaFilesLeaveNothing) {
  ASSERT_THAT(Unpack(TarBuilder().File("d/.wh..wh.plnk", "data").File(".wh..wh.aufs", "data")),
              IsOk());
  EXPECT_THAT(PathsIn(root_), ElementsAre("d", "d/old", "d/sub", "d/sub/deep", "d/sub/deep/old",
                                          "d/sub/old", "file"));
}

class OverlayWhiteoutTest : public ApplyFixture {
 protected:
  absl::StatusOr<ApplyResult> UnpackUpper(const TarBuilder& tar,
                                          std::vector<std::string> lower = {}) {
    return Unpack(tar, OverlayOptions(std::move(lower)));
  }

  bool IsWhiteout(const Path& path) {
    const struct stat info = StatOf(path);
    return S_ISCHR(info.st_mode) && info.st_rdev == 0;
  }
};

TEST_F(OverlayWhiteoutTest, BecomesADeviceWithTheEntrysOwner) {
  ASSERT_THAT(UnpackUpper(TarBuilder()
                              .Add({.name = "d/.wh.gone", .uid = "0001750", .gid = "0001751"})
                              .File("d/.wh.root")),
              IsOk());
  EXPECT_TRUE(IsWhiteout(root_ / "d/gone"));
  EXPECT_EQ(StatOf(root_ / "d/gone").st_uid, 1000u);
  EXPECT_EQ(StatOf(root_ / "d/gone").st_gid, 1001u);
  EXPECT_TRUE(IsWhiteout(root_ / "d/root"));
}

TEST_F(OverlayWhiteoutTest, OpaqueBecomesAnAttribute) {
  ASSERT_THAT(UnpackUpper(TarBuilder().File("d/.wh..wh..opq").File("d/new")), IsOk());
  EXPECT_EQ(XattrOf(root_ / "d", "trusted.overlay.opaque"), "y");
  EXPECT_THAT(PathsIn(root_), ElementsAre("d", "d/new"));
  ApplyOptions options = OverlayOptions();
  options.opaque_xattr = kUserOpaque;
  ASSERT_THAT(Unpack(TarBuilder().File("u/.wh..wh..opq"), options), IsOk());
  EXPECT_EQ(XattrOf(root_ / "u", "user.overlay.opaque"), "y");
}

TEST_F(OverlayWhiteoutTest, AddingAndDeletingANameInOneLayerIsNoError) {
  ASSERT_THAT(UnpackUpper(TarBuilder()
                              .File("a", "x")
                              .File(".wh.a")
                              .Dir("b/")
                              .File("b/c")
                              .File(".wh.b")
                              .File(".wh.twice")
                              .File(".wh.twice")
                              .File(".wh.c")
                              .File("c", "kept")),
              IsOk());
  EXPECT_TRUE(IsWhiteout(root_ / "a"));
  EXPECT_TRUE(IsWhiteout(root_ / "b"));
  EXPECT_TRUE(IsWhiteout(root_ / "twice"));
  EXPECT_EQ(ReadText(root_ / "c"), "kept");
}

TEST_F(OverlayWhiteoutTest, ADirectoryInPlaceOfAWhiteoutHidesTheLowerOne) {
  ASSERT_THAT(UnpackUpper(TarBuilder().File(".wh.a").Dir("a/").File(".wh.b").File("b/c/d")),
              IsOk());
  EXPECT_EQ(XattrOf(root_ / "a", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(XattrOf(root_ / "b", "trusted.overlay.opaque"), "y");
  EXPECT_TRUE(Exists(root_ / "b/c/d"));
}

TEST_F(OverlayWhiteoutTest, AHardLinkToADeletedFileFails) {
  EXPECT_THAT(UnpackUpper(TarBuilder().File("f").File(".wh.f").HardLink("l", "f")),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

class LowerDirsTest : public OverlayWhiteoutTest {
 protected:
  void SetUp() override {
    OverlayWhiteoutTest::SetUp();
    if (IsSkipped()) return;
    std::filesystem::create_directories(Near());
    std::filesystem::create_directories(Far() / "shared/deep");
    ASSERT_EQ(::chmod((Far() / "shared").c_str(), 01777), 0);
    ASSERT_EQ(::chown((Far() / "shared/deep").c_str(), 1000, 1001), 0);
    ASSERT_EQ(::setxattr((Far() / "shared").c_str(), "user.k", "v", 1, 0), 0);
    ASSERT_EQ(::setxattr((Far() / "shared").c_str(), "trusted.k", "v", 1, 0), 0);
    WriteText(Far() / "shared/file", "lower", 04755);
    ASSERT_EQ(::chown((Far() / "shared/file").c_str(), 7, 8), 0);
    ASSERT_EQ(::chmod((Far() / "shared/file").c_str(), 04755), 0);
    ASSERT_EQ(::setxattr((Far() / "shared/file").c_str(), "user.f", "w", 1, 0), 0);
    SetMtime(Far() / "shared/file", 5000, 7);
    std::filesystem::create_symlink("target", Far() / "shared/link");
    SetMtime(Far() / "shared/deep", 6000);
    SetMtime(Far() / "shared", 7000);
    around_before_ = PathsIn(temp_.path()).size() - PathsIn(root_).size();
  }
  Path Near() { return temp_.path() / "near"; }
  Path Far() { return temp_.path() / "far"; }
  std::vector<std::string> Lower() { return {Near(), Far()}; }
};

TEST_F(LowerDirsTest, MissingParentsTakeTheirAttributes) {
  const auto result = UnpackUpper(TarBuilder().File("shared/deep/new").File("other/x"), Lower());
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->implicit_directories, ElementsAre("other"));
  const struct stat shared = StatOf(root_ / "shared");
  EXPECT_EQ(shared.st_mode & 07777, 01777u);
  EXPECT_EQ(shared.st_mtim.tv_sec, 7000);
  EXPECT_EQ(XattrOf(root_ / "shared", "user.k"), "v");
  EXPECT_EQ(XattrOf(root_ / "shared", "trusted.k"), "<none>");
  EXPECT_EQ(StatOf(root_ / "shared/deep").st_uid, 1000u);
  EXPECT_EQ(StatOf(root_ / "shared/deep").st_gid, 1001u);
  EXPECT_EQ(StatOf(root_ / "shared/deep").st_mtim.tv_sec, 6000);
}

TEST_F(LowerDirsTest, TheNearestLayerDecides) {
  std::filesystem::create_directory(Near() / "shared");
  ASSERT_EQ(::chmod((Near() / "shared").c_str(), 0700), 0);
  around_before_ += 1;
  ASSERT_THAT(UnpackUpper(TarBuilder().File("shared/deep/new"), Lower()), IsOk());
  EXPECT_EQ(StatOf(root_ / "shared").st_mode & 07777, 0700u);
  EXPECT_EQ(StatOf(root_ / "shared/deep").st_uid, 1000u);
}

TEST_F(LowerDirsTest, WhatANearerLayerHidesDoesNotCount) {
  WriteText(Near() / "shared", "a file now");
  around_before_ += 1;
  auto result = UnpackUpper(TarBuilder().File("shared/deep/new"), Lower());
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->implicit_directories, ElementsAre("shared", "shared/deep"));
  EXPECT_EQ(StatOf(root_ / "shared").st_mode & 07777, 0755u);
}

TEST_F(LowerDirsTest, AnOpaqueDirectoryOfANearerLayerHides) {
  std::filesystem::create_directory(Near() / "shared");
  ASSERT_EQ(::setxattr((Near() / "shared").c_str(), kTrustedOpaque, "y", 1, 0), 0);
  around_before_ += 1;
  const auto result = UnpackUpper(TarBuilder().File("shared/deep/new"), Lower());
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->implicit_directories, ElementsAre("shared/deep"));
}

TEST_F(LowerDirsTest, WhatThisLayerHidesDoesNotCount) {
  auto result =
      UnpackUpper(TarBuilder().File("shared/.wh..wh..opq").File("shared/deep/new"), Lower());
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->implicit_directories, ElementsAre("shared/deep"));
  std::filesystem::remove_all(root_ / "shared");
  result = UnpackUpper(TarBuilder().File(".wh.shared").File("shared/deep/new"), Lower());
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->implicit_directories, ElementsAre("shared", "shared/deep"));
  EXPECT_EQ(XattrOf(root_ / "shared", "trusted.overlay.opaque"), "y");
}

TEST_F(LowerDirsTest, HardLinksCopyLowerFilesUp) {
  ASSERT_THAT(UnpackUpper(TarBuilder()
                              .Add({.name = "link",
                                    .flag = '1',
                                    .link = "shared/file",
                                    .mode = "0004755",
                                    .uid = "0000007",
                                    .gid = "0000010",
                                    .mtime = "00000011610"})
                              .HardLink("symlink", "shared/link"),
                          Lower()),
              IsOk());
  EXPECT_EQ(ReadText(root_ / "shared/file"), "lower");
  const struct stat info = StatOf(root_ / "link");
  EXPECT_EQ(info.st_ino, StatOf(root_ / "shared/file").st_ino);
  EXPECT_EQ(info.st_mode & 07777, 04755u);
  EXPECT_EQ(info.st_uid, 7u);
  EXPECT_EQ(XattrOf(root_ / "link", "user.f"), "w");
  EXPECT_EQ(std::filesystem::read_symlink(root_ / "symlink"), "target");
  EXPECT_EQ(StatOf(root_ / "shared").st_mode & 07777, 01777u);
}

TEST_F(LowerDirsTest, HardLinksToHiddenOrMissingLowerFilesFail) {
  EXPECT_THAT(UnpackUpper(TarBuilder().HardLink("l", "shared/none"), Lower()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(UnpackUpper(TarBuilder().File(".wh.shared").HardLink("l", "shared/file"), Lower()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(UnpackUpper(TarBuilder().HardLink("l", "shared/deep"), Lower()),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gantry::archive
