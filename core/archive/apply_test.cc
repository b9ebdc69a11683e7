// SPDX-License-Identifier: Apache-2.0
#include "core/archive/apply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>

#include "core/archive/testing/apply_fixture.h"
#include "core/base/testing/matchers.h"

namespace gantry::archive {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class ApplyTest : public ApplyFixture {};

// Version 2 file capabilities: effective, cap_net_raw permitted.
const std::string kCapability(
    "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00",
    20);

TEST_F(ApplyTest, EveryTypeWithItsAttributes) {
  const auto result = Unpack(
      TarBuilder()
          .Add({.name = "dir/",
                .flag = '5',
                .mode = "0001750",
                .uid = "0001750",
                .gid = "0001751",
                .mtime = "00000000012"})
          .Pax({{"mtime", "1234.5"}, {"atime", "2000"}})
          .Add({.name = "dir/file", .mode = "0000640", .uid = "0000001", .gid = "0000002"}, "hello")
          .Symlink("dir/dangling", "/no/../where")
          .HardLink("dir/hard", "dir/file")
          .Add({.name = "null",
                .flag = '3',
                .mode = "0000666",
                .dev_major = "0000001",
                .dev_minor = "0000003"})
          .Add({.name = "disk",
                .flag = '4',
                .mode = "0000660",
                .gid = "0000006",
                .dev_major = "0000010",
                .dev_minor = "0000001"})
          .Add({.name = "fifo", .flag = '6', .mode = "0000604"}));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->entries, 7u);
  EXPECT_EQ(result->content_bytes, 5u);
  EXPECT_TRUE(result->warnings.empty());
  EXPECT_TRUE(result->implicit_directories.empty());

  const struct stat dir = StatOf(root_ / "dir");
  EXPECT_EQ(dir.st_mode, S_IFDIR | 01750u);
  EXPECT_EQ(dir.st_uid, 1000u);
  EXPECT_EQ(dir.st_gid, 1001u);
  EXPECT_EQ(dir.st_mtim.tv_sec, 10);  // although files were made in it afterwards
  const struct stat file = StatOf(root_ / "dir/file");
  EXPECT_EQ(file.st_nlink, 2u);
  EXPECT_EQ(ReadText(root_ / "dir/hard"), "hello");
  EXPECT_EQ(std::filesystem::read_symlink(root_ / "dir/dangling"), "/no/../where");
  const struct stat null = StatOf(root_ / "null");
  EXPECT_EQ(null.st_mode, S_IFCHR | 0666u);
  EXPECT_EQ(null.st_rdev, makedev(1, 3));
  const struct stat disk = StatOf(root_ / "disk");
  EXPECT_EQ(disk.st_mode, S_IFBLK | 0660u);
  EXPECT_EQ(disk.st_rdev, makedev(8, 1));
  EXPECT_EQ(disk.st_gid, 6u);
  EXPECT_EQ(StatOf(root_ / "fifo").st_mode, S_IFIFO | 0604u);
}

TEST_F(ApplyTest, TimesKeepNanosecondsAndAtimeIsNeverBeforeMtime) {
  ASSERT_THAT(Unpack(TarBuilder()
                         .Pax({{"mtime", "1234.567891234"}, {"atime", "2000.5"}})
                         .File("later")
                         .Pax({{"mtime", "1234.5"}, {"atime", "1000"}})
                         .File("earlier")
                         .Pax({{"mtime", "77.25"}})
                         .Symlink("link", "x")),
              IsOk());
  EXPECT_EQ(StatOf(root_ / "later").st_mtim.tv_nsec, 567'891'234);
  EXPECT_EQ(StatOf(root_ / "later").st_atim.tv_sec, 2000);
  EXPECT_EQ(StatOf(root_ / "earlier").st_atim.tv_sec, 1234);
  EXPECT_EQ(StatOf(root_ / "link").st_mtim.tv_sec, 77);
}

TEST_F(ApplyTest, TimesBefore1970AndAfter2262BecomeTheEpoch) {
  for (const char* time : {"-1", "-0.5", "9223372036.854775808", "9223372037", "99999999999999"}) {
    ASSERT_THAT(Unpack(TarBuilder().Pax({{"mtime", time}}).File("f")), IsOk());
    EXPECT_EQ(StatOf(root_ / "f").st_mtim.tv_sec, 0) << time;
    EXPECT_EQ(StatOf(root_ / "f").st_mtim.tv_nsec, 0) << time;
  }
  // The last one that counts, where the file system can hold it.
  ASSERT_THAT(Unpack(TarBuilder().Pax({{"mtime", "9223372036.854775807"}}).File("f")), IsOk());
  EXPECT_NE(StatOf(root_ / "f").st_mtim.tv_sec, 0);
}

TEST_F(ApplyTest, SetIdAndStickyBitsSurviveTheChangeOfOwner) {
  ASSERT_THAT(Unpack(TarBuilder()
                         .Add({.name = "suid", .mode = "0004755", .uid = "0001750"}, "#!")
                         .Add({.name = "sgid", .mode = "0002755", .gid = "0001750"}, "#!")
                         .Add({.name = "d/", .flag = '5', .mode = "0003777", .gid = "0000062"})
                         .File("d/inherits")
                         .Dir("d/sub/")
                         .Add({.name = "fifo", .flag = '6', .mode = "0004600", .uid = "0000001"})),
              IsOk());
  EXPECT_EQ(StatOf(root_ / "suid").st_mode & 07777, 04755u);
  EXPECT_EQ(StatOf(root_ / "suid").st_uid, 1000u);
  EXPECT_EQ(StatOf(root_ / "sgid").st_mode & 07777, 02755u);
  EXPECT_EQ(StatOf(root_ / "d").st_mode & 07777, 03777u);
  // A set-gid directory gives its group and its bit to what is made in it; the archive decides.
  EXPECT_EQ(StatOf(root_ / "d/inherits").st_gid, 0u);
  EXPECT_EQ(StatOf(root_ / "d/sub").st_gid, 0u);
  EXPECT_EQ(StatOf(root_ / "d/sub").st_mode & 07777, 0755u);
  EXPECT_EQ(StatOf(root_ / "fifo").st_mode & 07777, 04600u);
}

TEST_F(ApplyTest, TheUmaskOfTheProcessDoesNotMatter) {
  const mode_t before = ::umask(0077);
  const auto result = Unpack(TarBuilder()
                                 .Add({.name = "f", .mode = "0000666"})
                                 .Dir("d/", "0000777")
                                 .File("implicit/f")
                                 .Add({.name = "p", .flag = '6', .mode = "0000666"}));
  EXPECT_EQ(::umask(before), 0077u);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(StatOf(root_ / "f").st_mode & 07777, 0666u);
  EXPECT_EQ(StatOf(root_ / "d").st_mode & 07777, 0777u);
  EXPECT_EQ(StatOf(root_ / "implicit").st_mode & 07777, 0755u);
  EXPECT_EQ(StatOf(root_ / "p").st_mode & 07777, 0666u);
}

TEST_F(ApplyTest, XattrsAreSetAndCapabilitiesComeAfterTheOwner) {
  const std::string binary("\0\xff=\n", 4);
  ASSERT_THAT(Unpack(TarBuilder()
                         .Pax({{"SCHILY.xattr.user.binary", binary},
                               {"SCHILY.xattr.user.empty", ""},
                               {"SCHILY.xattr.security.capability", kCapability}})
                         .Add({.name = "f", .mode = "0000755", .uid = "0001750"}, "#!")
                         .Pax({{"SCHILY.xattr.user.dir", "d"}})
                         .Dir("dir/")),
              IsOk());
  EXPECT_EQ(XattrOf(root_ / "f", "user.binary"), binary);
  EXPECT_EQ(XattrOf(root_ / "f", "user.empty"), "");
  EXPECT_EQ(XattrOf(root_ / "f", "security.capability"), kCapability);
  EXPECT_EQ(StatOf(root_ / "f").st_uid, 1000u);
  EXPECT_EQ(XattrOf(root_ / "dir", "user.dir"), "d");
}

TEST_F(ApplyTest, XattrsOfTheHostAndUnsupportedOnesAreSkippedWithAWarning) {
  const auto result = Unpack(TarBuilder()
                                 .Pax({{"SCHILY.xattr.trusted.overlay.opaque", "y"},
                                       {"SCHILY.xattr.trusted.other", "y"},
                                       {"SCHILY.xattr.user.overlay.redirect", "/etc"}})
                                 .Dir("dir/")
                                 .Pax({{"SCHILY.xattr.user.x", "1"}})
                                 .Symlink("link", "dir"));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(XattrsText(root_ / "dir"), "");
  EXPECT_EQ(XattrsText(root_ / "link"), "");
  ASSERT_EQ(result->warnings.size(), 2u);
  EXPECT_EQ(result->warnings.at("attribute of the host skipped").count, 3u);
  EXPECT_THAT(result->warnings.at("attribute not supported here skipped").first,
              HasSubstr("user.x"));
}

TEST_F(ApplyTest, OtherFailuresOfXattrsFail) {
  EXPECT_FALSE(
      Unpack(TarBuilder().Pax({{"SCHILY.xattr.security.capability", "nonsense"}}).File("f")).ok());
}

TEST_F(ApplyTest, TheRootsOwnEntryIsIgnored) {
  ASSERT_EQ(::chmod(root_.c_str(), 0711), 0);
  for (const char* name : {"./", "/", ".", "", "a/..", "../"}) {
    ASSERT_THAT(
        Unpack(TarBuilder().Add({.name = name, .flag = '5', .mode = "0000700", .uid = "0000007"})),
        IsOk());
    EXPECT_EQ(StatOf(root_).st_mode & 07777, 0711u) << name;
    EXPECT_EQ(StatOf(root_).st_uid, 0u) << name;
  }
  ASSERT_THAT(Unpack(TarBuilder().File("/", "x").Symlink("..", "x")), IsOk());
  EXPECT_TRUE(PathsIn(root_).empty());
}

TEST_F(ApplyTest, MissingParentsAreMadeAndTold) {
  const auto result = Unpack(TarBuilder().File("a/b/c").File("a/d").Dir("e/").File("e/f/g"));
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->implicit_directories, ElementsAre("a", "a/b", "e/f"));
  EXPECT_EQ(StatOf(root_ / "a/b").st_mode & 07777, 0755u);
}

TEST_F(ApplyTest, ALaterEntryForAnImplicitDirectoryCounts) {
  ASSERT_THAT(Unpack(TarBuilder().File("a/b").Add(
                  {.name = "a/", .flag = '5', .mode = "0000700", .mtime = "00000000012"})),
              IsOk());
  EXPECT_EQ(StatOf(root_ / "a").st_mode & 07777, 0700u);
  EXPECT_EQ(StatOf(root_ / "a").st_mtim.tv_sec, 10);
  EXPECT_TRUE(Exists(root_ / "a/b"));
}

TEST_F(ApplyTest, EntriesReplaceWhateverHasTheirName) {
  const auto old_tree = [&] {
    std::filesystem::remove_all(root_ / "x");
    std::filesystem::create_directories(root_ / "x/deep/er");
    WriteText(root_ / "x/deep/file", "old");
  };
  const auto replace = [&](const TarBuilder& tar, mode_t type) {
    ASSERT_THAT(Unpack(tar), IsOk());
    EXPECT_EQ(StatOf(root_ / "x").st_mode & S_IFMT, type);
  };
  old_tree();
  replace(TarBuilder().File("x", "new"), S_IFREG);
  replace(TarBuilder().Dir("x/"), S_IFDIR);
  old_tree();
  replace(TarBuilder().Symlink("x", "target"), S_IFLNK);
  replace(TarBuilder().Dir("x/"), S_IFDIR);
  old_tree();
  replace(TarBuilder().Add({.name = "x", .flag = '6'}), S_IFIFO);
  replace(TarBuilder().File("x", "new"), S_IFREG);
  replace(TarBuilder().File("y").HardLink("x", "y"), S_IFREG);
  old_tree();
  replace(TarBuilder().File("y", "linked").HardLink("x", "y"), S_IFREG);
  EXPECT_EQ(ReadText(root_ / "x"), "linked");
}

TEST_F(ApplyTest, AFileIsReplacedNotWrittenThrough) {
  WriteText(root_ / "a", "old");
  std::filesystem::create_hard_link(root_ / "a", root_ / "b");
  ASSERT_THAT(Unpack(TarBuilder().File("a", "new")), IsOk());
  EXPECT_EQ(ReadText(root_ / "a"), "new");
  EXPECT_EQ(ReadText(root_ / "b"), "old");
}

TEST_F(ApplyTest, ADirectoryOverADirectoryMerges) {
  std::filesystem::create_directory(root_ / "d");
  WriteText(root_ / "d/kept", "old");
  ASSERT_THAT(
      Unpack(TarBuilder().Add({.name = "d/", .flag = '5', .mode = "0000700", .uid = "0000001"})),
      IsOk());
  EXPECT_EQ(ReadText(root_ / "d/kept"), "old");
  EXPECT_EQ(StatOf(root_ / "d").st_mode & 07777, 0700u);
  EXPECT_EQ(StatOf(root_ / "d").st_uid, 1u);
}

TEST_F(ApplyTest, AParentThatIsAFileIsAnError) {
  EXPECT_THAT(Unpack(TarBuilder().File("a").File("a/b")), StatusIs(kInvalid));
  EXPECT_THAT(Unpack(TarBuilder().Add({.name = "p", .flag = '6'}).File("p/b")), StatusIs(kInvalid));
}

TEST_F(ApplyTest, ADirectoryRemovedLaterInTheArchiveIsNoError) {
  ASSERT_THAT(Unpack(TarBuilder()
                         .Dir("a/")
                         .Dir("a/b/")
                         .File("a/.wh.b")
                         .Dir("c/")
                         .File("c", "x")
                         .Dir("d/e/")
                         .Symlink("d", "d")),
              IsOk());
  EXPECT_THAT(PathsIn(root_), ElementsAre("a", "c", "d"));
}

TEST_F(ApplyTest, HardLinksTakeTheirOwnAttributesToTheSharedInode) {
  ASSERT_THAT(Unpack(TarBuilder().File("f", "x").Add({.name = "l",
                                                      .flag = '1',
                                                      .link = "f",
                                                      .mode = "0000600",
                                                      .uid = "0000005",
                                                      .mtime = "00000000144"})),
              IsOk());
  EXPECT_EQ(StatOf(root_ / "f").st_mode & 07777, 0600u);
  EXPECT_EQ(StatOf(root_ / "f").st_uid, 5u);
  EXPECT_EQ(StatOf(root_ / "f").st_mtim.tv_sec, 100);
}

TEST_F(ApplyTest, AHardLinkToASymlinkLinksTheSymlink) {
  ASSERT_THAT(Unpack(TarBuilder()
                         .Add({.name = "f", .mode = "0000600"}, "x")
                         .Symlink("s", "f")
                         .Add({.name = "l", .flag = '1', .link = "s", .mode = "0000777"})),
              IsOk());
  EXPECT_TRUE(S_ISLNK(StatOf(root_ / "l").st_mode));
  EXPECT_EQ(StatOf(root_ / "l").st_ino, StatOf(root_ / "s").st_ino);
  EXPECT_EQ(StatOf(root_ / "f").st_mode & 07777, 0600u);
}

TEST_F(ApplyTest, HardLinksToNothingToDirectoriesAndToTheRootFail) {
  EXPECT_THAT(Unpack(TarBuilder().HardLink("l", "missing")), StatusIs(kInvalid));
  EXPECT_THAT(Unpack(TarBuilder().HardLink("l", "missing/deep")), StatusIs(kInvalid));
  EXPECT_THAT(Unpack(TarBuilder().Dir("d/").HardLink("l", "d")), StatusIs(kInvalid));
  EXPECT_THAT(Unpack(TarBuilder().HardLink("l", "..")), StatusIs(kInvalid));
  EXPECT_THAT(Unpack(TarBuilder().HardLink("l", "")), StatusIs(kInvalid));
}

TEST_F(ApplyTest, AHardLinkOntoItselfKeepsTheFile) {
  ASSERT_THAT(
      Unpack(TarBuilder().File("f", "x").HardLink("f", "f").HardLink("g", "f").HardLink("g", "f")),
      IsOk());
  EXPECT_EQ(ReadText(root_ / "f"), "x");
  EXPECT_EQ(StatOf(root_ / "f").st_nlink, 2u);
}

TEST_F(ApplyTest, UnknownTypesAndOldSparseFilesFail) {
  EXPECT_THAT(Unpack(TarBuilder().Add({.name = "f", .flag = '7'})),
              StatusIs(kInvalid, HasSubstr("unhandled tar header type")));
  EXPECT_THAT(Unpack(TarBuilder().Add({.name = "f", .flag = 'D'})), StatusIs(kInvalid));
  const std::string gnu("ustar  \0", 8);
  EXPECT_THAT(Unpack(TarBuilder().Add({.name = "f", .flag = 'S', .magic = gnu})),
              StatusIs(kInvalid));
}

TEST_F(ApplyTest, NumbersOutOfRangeAreRefused) {
  const std::string gnu("ustar  \0", 8);
  const auto char_device = [&](int64_t major, int64_t minor) {
    return Unpack(TarBuilder().Add({.name = "c",
                                    .flag = '3',
                                    .magic = gnu,
                                    .dev_major = Base256(major, 8),
                                    .dev_minor = Base256(minor, 8)}));
  };
  EXPECT_THAT(char_device(1, 5), IsOk());
  EXPECT_THAT(char_device(int64_t{1} << 32, 5), StatusIs(kInvalid));
  EXPECT_THAT(char_device(1, int64_t{1} << 32), StatusIs(kInvalid));
  EXPECT_THAT(char_device(-1, 5), StatusIs(kInvalid));
  for (const char* id : {"4294967295", "4294967296", "-1", "9223372036854775807"}) {
    EXPECT_THAT(Unpack(TarBuilder().Pax({{"uid", id}}).File("f")), StatusIs(kInvalid)) << id;
    EXPECT_THAT(Unpack(TarBuilder().Pax({{"gid", id}}).File("f")), StatusIs(kInvalid)) << id;
  }
  EXPECT_THAT(Unpack(TarBuilder().Pax({{"uid", "4294967294"}}).File("f")), IsOk());
  EXPECT_EQ(StatOf(root_ / "f").st_uid, 4294967294u);
}

TEST_F(ApplyTest, DevicesAreSkippedInAUserNamespace) {
  const auto result =
      Unpack(TarBuilder()
                 .Add({.name = "c", .flag = '3', .dev_major = "0000001", .dev_minor = "0000003"})
                 .Add({.name = "b", .flag = '4', .dev_major = "0000001", .dev_minor = "0000003"})
                 .Add({.name = "p", .flag = '6'}),
             {.in_user_namespace = true});
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(PathsIn(root_), ElementsAre("p"));
  EXPECT_EQ(result->warnings.at("device skipped in a user namespace").count, 2u);
}

TEST_F(ApplyTest, SparseFilesStaySparse) {
  const uint64_t size = uint64_t{9} << 30;
  const auto result =
      Unpack(TarBuilder()
                 .Pax({{"GNU.sparse.major", "0"},
                       {"GNU.sparse.minor", "1"},
                       {"GNU.sparse.name", "sparse"},
                       {"GNU.sparse.size", std::to_string(size)},
                       {"GNU.sparse.map", "4096,4,8589934592,3," + std::to_string(size) + ",0"}})
                 .File("GNUSparseFile.0/sparse", "headend"));
  ASSERT_THAT(result, IsOk());
  const struct stat info = StatOf(root_ / "sparse");
  EXPECT_EQ(static_cast<uint64_t>(info.st_size), size);
  EXPECT_LT(info.st_blocks * 512, 1 << 20);
  const kernel::UniqueFd file(::open((root_ / "sparse").c_str(), O_RDONLY | O_CLOEXEC));
  std::string piece(4, '\0');
  EXPECT_EQ(::pread(file.get(), piece.data(), 4, 4096), 4);
  EXPECT_EQ(piece, "head");
  EXPECT_EQ(::pread(file.get(), piece.data(), 4, 8589934592), 4);
  EXPECT_EQ(piece, std::string("end\0", 4));
}

TEST_F(ApplyTest, ASizeOf9GiBFromARecordIsHeldAgainstTheLimit) {
  // The content is zeros that a source makes up, so that the archive need not exist.
  class Big final : public BlockReader {
   public:
    explicit Big(std::string head) : head_(std::move(head)) {}
    absl::StatusOr<std::string_view> NextBlock() override {
      if (std::exchange(first_, false)) return std::string_view(head_);
      if (left_ == 0) return std::string_view();
      const size_t count = std::min<uint64_t>(left_, zeros_.size());
      left_ -= count;
      return std::string_view(zeros_).substr(0, count);
    }

   private:
    std::string head_;
    bool first_ = true;
    uint64_t left_ = 3 * kBlockBytes;
    std::string zeros_ = std::string(1 << 20, '\0');
  };
  // Only the header's arithmetic is of interest: the limit on content stops it before the disk.
  Big source(TarBuilder()
                 .Pax({{"size", "9663676416"}})
                 .Raw(HeaderBlock({.name = "big", .size = Base256(9663676416, 12)}))
                 .bytes());
  const kernel::UniqueFd fd(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_THAT(Apply(Context{}, source, fd.get(), {}), StatusIs(absl::StatusCode::kDataLoss));
  Limits limits;
  limits.max_bytes = 9663676415;
  EXPECT_THAT(Unpack(TarBuilder().Pax({{"size", "9663676416"}}).File("big"), {.limits = limits}),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(ApplyTest, WhatFollowsTheEndMarkerIsReadAndIgnored) {
  CutBlockReader source(TarBuilder().File("a").Done() + std::string(3'000'000, '\0') + "garbage",
                        1 << 16);
  const kernel::UniqueFd fd(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_THAT(Apply(Context{}, source, fd.get(), {}), IsOk());
  const auto rest = source.NextBlock();
  ASSERT_THAT(rest, IsOk());
  EXPECT_TRUE(rest->empty());
  EXPECT_THAT(PathsIn(root_), ElementsAre("a"));
}

TEST_F(ApplyTest, ATruncatedArchiveFails) {
  const std::string bytes = TarBuilder().File("a", std::string(5000, 'x')).bytes();
  EXPECT_THAT(ApplyTo(root_, bytes.substr(0, 3000)), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(ApplyTest, CancellationStopsTheWork) {
  std::stop_source stop;
  stop.request_stop();
  CutBlockReader source(TarBuilder().File("a").Done(), 1 << 16);
  const kernel::UniqueFd fd(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_THAT(Apply(Context{.stop = stop.get_token()}, source, fd.get(), {}),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(ApplyTest, RememberedDirectoriesAreBounded) {
  Limits limits;
  limits.max_remembered_bytes = 2000;
  TarBuilder tar;
  for (int i = 0; i < 100; ++i) tar.Dir(fmt::format("directory-{}/", i));
  EXPECT_THAT(Unpack(tar, {.limits = limits}), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(ApplyTest, ManyParentsAtOnceOutliveTheCacheOfOpenDirectories) {
  TarBuilder tar;
  for (int i = 0; i < 300; ++i) tar.Dir(fmt::format("d{}/", i));
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 300; ++i) tar.File(fmt::format("d{}/f{}", i, round), "x");
  }
  ASSERT_THAT(Unpack(tar), IsOk());
  EXPECT_EQ(PathsIn(root_).size(), 900u);
}

}  // namespace
}  // namespace gantry::archive
