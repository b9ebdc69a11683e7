// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/resolve.h"

namespace gantry::kernel {
namespace {

class FileTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return (dir_.path() / name).string(); }

  mode_t ModeOf(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(::lstat(Path(name).c_str(), &info), 0);
    return info.st_mode & 07777;
  }

  gantry::testing::TempDir dir_;
};

TEST(ErrorTest, TextNamesActObjectAndReason) {
  const Error error{ENOENT, "open /x"};
  EXPECT_EQ(error.Text(), "open /x: No such file or directory");
  EXPECT_EQ((Error{4095, "x"}).Text(), "x: error 4095");
}

TEST_F(FileTest, ReadFileTellsExactlyFullFromTooLong) {
  ASSERT_TRUE(WriteFileAtomic(Path("f"), "12345", 0600, Durability::kNone));
  auto whole = ReadFile(Path("f"), 5);
  ASSERT_TRUE(whole);
  EXPECT_EQ(*whole, "12345");
  auto cut = ReadFile(Path("f"), 4);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().err, EFBIG);
}

TEST_F(FileTest, ReadFileReadsWhatGrowsBeyondItsFirstStep) {
  const std::string text(100'000, 'x');
  ASSERT_TRUE(WriteFileAtomic(Path("f"), text, 0600, Durability::kNone));
  auto whole = ReadFile(Path("f"), 1 << 20);
  ASSERT_TRUE(whole);
  EXPECT_EQ(*whole, text);
}

TEST_F(FileTest, AtomicWriteReplacesContentAndModeAndLeavesNoTemporaryFile) {
  ASSERT_TRUE(WriteFileAtomic(Path("f"), "old", 0600, Durability::kFileAndDirectory));
  ASSERT_TRUE(WriteFileAtomic(Path("f"), "new", 0666, Durability::kFile));
  EXPECT_EQ(*ReadFile(Path("f"), 10), "new");
  EXPECT_EQ(ModeOf("f"), 0666U);
  const auto entries = std::distance(std::filesystem::directory_iterator(dir_.path()), {});
  EXPECT_EQ(entries, 1);
}

TEST_F(FileTest, AFailedAtomicWriteLeavesNoTemporaryFile) {
  std::filesystem::create_directory(dir_.path() / "taken");
  auto written = WriteFileAtomic(Path("taken"), "x", 0600, Durability::kNone);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().err, EISDIR);
  const auto entries = std::distance(std::filesystem::directory_iterator(dir_.path()), {});
  EXPECT_EQ(entries, 1);
}

TEST_F(FileTest, MakeDirectoriesMakesWhatIsMissingAndAcceptsWhatIsThere) {
  ASSERT_TRUE(MakeDirectories(Path("a/b/c"), 0711));
  ASSERT_TRUE(MakeDirectories(Path("a/b/c/"), 0700));
  EXPECT_EQ(ModeOf("a/b/c"), 0711U);
  ASSERT_TRUE(WriteFileAtomic(Path("file"), "", 0600, Durability::kNone));
  auto through_file = MakeDirectories(Path("file/x"), 0700);
  ASSERT_FALSE(through_file);
  EXPECT_EQ(through_file.error().err, ENOTDIR);
}

TEST_F(FileTest, RandomHexHasTheAskedLengthAndDiffers) {
  EXPECT_EQ(RandomHex(40).size(), 80U);
  EXPECT_NE(RandomHex(16), RandomHex(16));
}

class ResolveTest : public FileTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(MakeDirectories(Path("root/etc"), 0755));
    ASSERT_TRUE(MakeDirectories(Path("etc"), 0755));
    ASSERT_TRUE(WriteFileAtomic(Path("root/etc/name"), "inside", 0644, Durability::kNone));
    ASSERT_TRUE(WriteFileAtomic(Path("etc/name"), "outside", 0644, Durability::kNone));
    std::filesystem::create_symlink("/etc", dir_.path() / "root/absolute");
    std::filesystem::create_symlink("../etc", dir_.path() / "root/climbing");
    root_ = std::move(*Open(Path("root"), O_PATH | O_DIRECTORY));
  }

  std::string ContentOf(const Result<UniqueFd>& fd) {
    return fd ? *ReadAll(fd->get(), 100, "file") : fd.error().Text();
  }

  UniqueFd root_;
};

TEST_F(ResolveTest, InRootKeepsDotsAndSymlinksInside) {
  for (const char* path : {"etc/name", "/etc/name", "../../etc/name", "absolute/name",
                           "climbing/name", "etc/../../etc/name"}) {
    EXPECT_EQ(ContentOf(OpenInside(root_.get(), path, O_RDONLY)), "inside") << path;
  }
}

TEST_F(ResolveTest, BeneathRefusesWhatLeadsOut) {
  for (const char* path : {"/etc/name", "../etc/name", "absolute/name", "climbing/name"}) {
    auto fd = OpenInside(root_.get(), path, O_RDONLY, {.scope = Scope::kBeneath});
    ASSERT_FALSE(fd) << path;
    EXPECT_EQ(fd.error().err, EXDEV) << path;
  }
  EXPECT_TRUE(OpenInside(root_.get(), "etc/name", O_RDONLY, {.scope = Scope::kBeneath}));
}

TEST_F(ResolveTest, SymlinksCanBeRefused) {
  auto fd = OpenInside(root_.get(), "absolute/name", O_RDONLY, {.follow_symlinks = false});
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().err, ELOOP);
}

TEST_F(ResolveTest, DirectoriesAreMadeInsideEvenThroughSymlinks) {
  ASSERT_TRUE(MakeDirectoriesInside(root_.get(), "/absolute/new/../deep//dir", 0755));
  EXPECT_TRUE(std::filesystem::is_directory(dir_.path() / "root/etc/deep/dir"));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "etc/deep"));
  ASSERT_TRUE(MakeDirectoriesInside(root_.get(), "/", 0755));
  ASSERT_TRUE(MakeDirectoriesInside(root_.get(), "../../made", 0755));
  EXPECT_TRUE(std::filesystem::is_directory(dir_.path() / "root/made"));
}

TEST_F(ResolveTest, ADanglingSymlinkIsNoWayToMakeDirectories) {
  std::filesystem::create_symlink("/nowhere", dir_.path() / "root/dangling");
  auto made = MakeDirectoriesInside(root_.get(), "dangling/x", 0755);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().err, ENOENT);
}

}  // namespace
}  // namespace gantry::kernel
