// SPDX-License-Identifier: Apache-2.0
#include "core/archive/compare.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <functional>

#include "core/archive/testing/apply_fixture.h"
#include "core/archive/testing/compare_fixture.h"
#include "core/base/testing/matchers.h"
#include "core/digest/digest.h"

namespace gantry::archive {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using std::filesystem::create_directory;
using std::filesystem::create_hard_link;
using std::filesystem::remove;
using std::filesystem::remove_all;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Two trees that start equal; a test changes the right one.
class CompareTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gantry::testing::RequireRoot();
    left_ = temp_.path() / "left";
    right_ = temp_.path() / "right";
    create_directory(left_);
  }

  void Directory(const std::string& name, mode_t mode = 0755) {
    create_directory(left_ / name);
    ASSERT_EQ(::chmod((left_ / name).c_str(), mode), 0);
  }
  void File(const std::string& name, const std::string& text = "content") {
    WriteText(left_ / name, text);
  }
  // Makes the right tree as it is to start with.
  Path Right() {
    CopyTree(left_, right_);
    // A layer has no fractions of seconds.
    for (const auto& entry : std::filesystem::recursive_directory_iterator(left_)) {
      const timespec time = StatOf(entry.path()).st_mtim;
      SetMtime(right_ / entry.path().lexically_relative(left_), time.tv_sec, time.tv_nsec);
    }
    return right_;
  }
  std::vector<std::string> Diff() { return EntriesOf(DiffOf(left_, right_)); }

  gantry::testing::TempDir temp_;
  Path left_;
  Path right_;
};

TEST_F(CompareTest, EqualTreesGiveTwoZeroBlocks) {
  Directory("etc");
  File("etc/passwd");
  std::filesystem::create_symlink("x", left_ / "link");
  Right();
  const auto diff = DiffOf(left_, right_);
  ASSERT_THAT(diff, IsOk());
  EXPECT_EQ(*diff, std::string(1024, '\0'));
  EXPECT_EQ(Digest::Of(*diff).str(),
            "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
}

TEST_F(CompareTest, NothingOnTheLeftMeansEverythingIsNew) {
  Directory("d", 0700);
  File("d/f");
  StringWriter sink;
  ASSERT_THAT(WriteDiff(Context{}, -1, OpenRoot(left_).get(), sink), IsOk());
  EXPECT_THAT(EntriesOf(sink.text()), ElementsAre("d/ 700", "d/f 644 : content"));
}

TEST_F(CompareTest, ParentsOfChangesAreIncludedOnce) {
  Directory("d1");
  Directory("d2", 0770);
  Directory("d3");
  File("d3/same");
  const Path right = Right();
  create_directory(right / "d1/d");
  ASSERT_EQ(::chmod((right / "d1/d").c_str(), 0700), 0);
  WriteText(right / "d2/f", "ok");
  WriteText(right / "d2/g", "ok");
  EXPECT_THAT(Diff(),
              ElementsAre("d1/ 755", "d1/d/ 700", "d2/ 770", "d2/f 644 : ok", "d2/g 644 : ok"));
}

TEST_F(CompareTest, OrderIsThatOfPathsWithTheSlashLowest) {
  const Path right = Right();
  for (const char* name : {"a", "a-b", "a.b", "ab"}) create_directory(right / name);
  for (const char* name : {"a/z", "a-b/z", "B"}) WriteText(right / name, "");
  EXPECT_THAT(Diff(), ElementsAre("B 644", "a/ 755", "a/z 644", "a-b/ 755", "a-b/z 644", "a.b/ 755",
                                  "ab/ 755"));
}

TEST_F(CompareTest, EachKindOfChangeShows) {
  for (const char* name : {"mode", "owner", "size", "time", "type", "same"}) File(name);
  std::filesystem::create_symlink("one", left_ / "target");
  SetMtime(left_ / "target", 100);
  for (const char* name : {"mode", "owner", "size", "time", "type", "same"}) {
    SetMtime(left_ / name, 100, 5);
  }
  const Path right = Right();
  ASSERT_EQ(::chmod((right / "mode").c_str(), 04755), 0);
  ASSERT_EQ(::chown((right / "owner").c_str(), 0, 7), 0);
  WriteText(right / "size", "longer content");
  SetMtime(right / "size", 100, 5);
  SetMtime(right / "time", 100, 6);
  remove(right / "type");
  create_directory(right / "type");
  remove(right / "target");
  std::filesystem::create_symlink("two", right / "target");
  SetMtime(right / "target", 100);
  EXPECT_THAT(Diff(),
              ElementsAre("mode 4755 : content", "owner 644 : content", "size 644 : longer content",
                          "target 777 -> two", "time 644 : content", "type/ 755"));
}

TEST_F(CompareTest, WholeSecondTimesLetTheContentDecide) {
  File("changed", "12345");
  File("same", "12345");
  SetMtime(left_ / "changed", 1000);
  SetMtime(left_ / "same", 1000);
  const Path right = Right();
  WriteText(right / "changed", "54321");
  SetMtime(right / "changed", 1000);
  EXPECT_THAT(Diff(), ElementsAre("changed 644 : 54321"));
}

TEST_F(CompareTest, DirectoriesAreChangedByTheirMetadataAlone) {
  Directory("touched");
  Directory("mode");
  const Path right = Right();
  SetMtime(right / "touched", 5, 5);
  ASSERT_EQ(::chmod((right / "mode").c_str(), 0700), 0);
  EXPECT_THAT(Diff(), ElementsAre("mode/ 700"));
}

TEST_F(CompareTest, DeletionsBecomeWhiteoutsInPlace) {
  Directory("d1");
  File("d1/f1");
  Directory("d2");
  File("d2/f1");
  File("d2/f2");
  Directory("d3");
  File("d3/f1");
  Directory("d4");
  File("d4/f1");
  Directory("d5");
  File("d5/f1");
  const Path right = Right();
  remove(right / "d1/f1");
  remove(right / "d2/f1");
  ASSERT_EQ(::chmod((right / "d2/f2").c_str(), 0777), 0);
  remove(right / "d3/f1");
  WriteText(right / "d3/f2", "content");
  remove(right / "d4/f1");
  WriteText(right / "d4/f0", "content");
  remove_all(right / "d5");
  EXPECT_THAT(Diff(),
              ElementsAre("d1/ 755", "d1/.wh.f1 0", "d2/ 755", "d2/.wh.f1 0", "d2/f2 777 : content",
                          "d3/ 755", "d3/.wh.f1 0", "d3/f2 644 : content", "d4/ 755",
                          "d4/f0 644 : content", "d4/.wh.f1 0", ".wh.d5 0"));
}

TEST_F(CompareTest, ARemovedTreeIsOneWhiteoutAndAReplacedOneNone) {
  Directory("d1");
  Directory("d2");
  File("d2/f1");
  Directory("d3");
  File("d3/f1");
  const Path right = Right();
  remove_all(right / "d1");
  remove_all(right / "d2");
  remove_all(right / "d3");
  WriteText(right / "d3", "file");
  create_directory(right / "d4");
  EXPECT_THAT(Diff(), ElementsAre(".wh.d1 0", ".wh.d2 0", "d3 644 : file", "d4/ 755"));
}

TEST_F(CompareTest, HardLinksWithTheirParents) {
  for (const char* name : {"d1", "d2", "d3", "d4", "d5", "d6"}) Directory(name);
  for (const char* name : {"d1/f1", "d2/f1", "d4/f1", "d5/f1"}) File(name, "link me");
  create_hard_link(left_ / "d1/f1", left_ / "d6/l1");
  create_hard_link(left_ / "d5/f1", left_ / "d6/l2");
  const Path right = Right();
  create_hard_link(right / "d1/f1", right / "d2/l1");
  create_hard_link(right / "d4/f1", right / "d3/l1");
  remove(right / "d6/l1");
  remove(right / "d6/l2");
  EXPECT_THAT(Diff(), ElementsAre("d2/ 755", "d2/l1 644 : link me", "d1/ 755", "d1/f1 644 = d2/l1",
                                  "d3/ 755", "d3/l1 644 : link me", "d4/ 755", "d4/f1 644 = d3/l1",
                                  "d6/ 755", "d6/.wh.l1 0", "d6/.wh.l2 0"));
}

TEST_F(CompareTest, HardLinksBelowChangedParents) {
  for (const char* name : {"d1", "d2", "d3", "d4"}) Directory(name);
  for (const char* name : {"d1/f1", "d2/f1", "d3/f1"}) File(name, "link me");
  const Path right = Right();
  ASSERT_EQ(::chmod((right / "d1").c_str(), 0777), 0);
  create_hard_link(right / "d1/f1", right / "d2/l1");
  ASSERT_EQ(::chmod((right / "d4").c_str(), 0777), 0);
  create_hard_link(right / "d3/f1", right / "d4/l1");
  EXPECT_THAT(Diff(),
              ElementsAre("d1/ 777", "d2/ 755", "d2/l1 644 : link me", "d1/f1 644 = d2/l1",
                          "d4/ 777", "d4/l1 644 : link me", "d3/ 755", "d3/f1 644 = d4/l1"));
}

TEST_F(CompareTest, AModifiedPairIsAFileAndALink) {
  File("a", "old");
  create_hard_link(left_ / "a", left_ / "b");
  std::filesystem::create_symlink("t", left_ / "s");
  create_hard_link(left_ / "s", left_ / "s2");
  const Path right = Right();
  WriteText(right / "b", "newer");
  EXPECT_THAT(Diff(), ElementsAre("a 644 : newer", "b 644 = a"));
}

TEST_F(CompareTest, SocketsAreLeftOut) {
  File("f1");
  const Path right = Right();
  const kernel::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  (right / "s0").string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  WriteText(right / "f2", "content");
  EXPECT_THAT(Diff(), ElementsAre("f2 644 : content"));
}

TEST_F(CompareTest, DevicesAndFifosKeepTheirNumbers) {
  const Path right = Right();
  ASSERT_EQ(::mknod((right / "c").c_str(), S_IFCHR | 0600, makedev(5, 1)), 0);
  ASSERT_EQ(::mknod((right / "b").c_str(), S_IFBLK | 0600, makedev(8, 300)), 0);
  ASSERT_EQ(::mkfifo((right / "p").c_str(), 0600), 0);
  const auto entries = ReadArchive(DiffOf(left_, right_).value_or(""));
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[0].entry.type, EntryType::kBlockDevice);
  EXPECT_EQ((*entries)[0].entry.dev_minor, 300);
  EXPECT_EQ((*entries)[1].entry.dev_major, 5);
  EXPECT_EQ((*entries)[2].entry.type, EntryType::kFifo);
}

TEST_F(CompareTest, CapabilitiesAreTheOnlyAttributeWritten) {
  const std::string capability(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00\x00",
      20);
  File("bin");
  SetMtime(left_ / "bin", 50);
  const Path right = Right();
  ASSERT_EQ(::setxattr((right / "bin").c_str(), "security.capability", capability.data(),
                       capability.size(), 0),
            0);
  ASSERT_EQ(::setxattr((right / "bin").c_str(), "user.other", "x", 1, 0), 0);
  const auto diff = DiffOf(left_, right_);
  const auto entries = ReadArchive(diff.value_or(""));
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_THAT(entries->front().entry.xattrs,
              ElementsAre(::testing::Pair("security.capability", capability)));
  const Path copy = temp_.path() / "copy";
  create_directory(copy);
  ASSERT_THAT(ApplyTo(copy, *diff), IsOk());
  EXPECT_EQ(XattrOf(copy / "bin", "security.capability"), capability);
}

TEST_F(CompareTest, HeadersHoldNoNamesNoFractionsNoOtherTimes) {
  const Path right = Right();
  WriteText(right / "f", "x");
  SetMtime(right / "f", 1234, 999'999'999);
  const auto diff = DiffOf(left_, right_);
  ASSERT_THAT(diff, IsOk());
  ASSERT_EQ(diff->size(), 4u * kBlockBytes);  // header, content, end: no extended header
  const TarBlock block(diff->data());
  EXPECT_EQ(block.Number(kMtime), 1234);
  EXPECT_EQ(block.Text(kUserName), "");
  EXPECT_EQ(block.Text(kGroupName), "");
}

TEST_F(CompareTest, SourceDateEpochIsAnUpperBound) {
  Directory("dir");
  File("gone");
  SetMtime(left_ / "dir", 2'000'000'000);
  const Path right = Right();
  WriteText(right / "dir/late", "x");
  WriteText(right / "dir/early", "x");
  SetMtime(right / "dir/late", 1'900'000'000, 5);
  SetMtime(right / "dir/early", 1'000);
  SetMtime(right / "dir", 2'000'000'000);
  remove(right / "gone");
  const CompareOptions options = {.source_date_epoch = 1'500'000'000};
  const auto diff = DiffOf(left_, right_, options);
  const auto entries = ReadArchive(diff.value_or(""));
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 4u);
  EXPECT_EQ((*entries)[0].entry.mtime.seconds, 1'500'000'000);  // dir/
  EXPECT_EQ((*entries)[1].entry.mtime.seconds, 1'000);          // dir/early
  EXPECT_EQ((*entries)[2].entry.mtime.seconds, 1'500'000'000);  // dir/late
  EXPECT_EQ((*entries)[3].entry.name, ".wh.gone");
  EXPECT_EQ((*entries)[3].entry.mtime.seconds, 0);
  SetMtime(right / "dir/late", 1'950'000'000);
  const auto again = DiffOf(left_, right_, options);
  ASSERT_THAT(again, IsOk());
  EXPECT_TRUE(*diff == *again);
}

TEST_F(CompareTest, LongNamesAndBigOwnersSurvive) {
  const Path right = Right();
  const std::string name(200, 'n');
  create_directory(right / name);
  WriteText(right / name / name, "x");
  ASSERT_EQ(::chown((right / name / name).c_str(), 3'000'000'000, 4'000'000'000), 0);
  const Path copy = temp_.path() / "copy";
  create_directory(copy);
  ASSERT_THAT(ApplyTo(copy, DiffOf(left_, right_).value_or("")), IsOk());
  EXPECT_EQ(StatOf(copy / name / name).st_uid, 3'000'000'000u);
  EXPECT_EQ(StatOf(copy / name / name).st_gid, 4'000'000'000u);
}

TEST_F(CompareTest, CancellationStopsTheWalk) {
  std::stop_source stop;
  stop.request_stop();
  File("f");
  StringWriter sink;
  EXPECT_THAT(WriteDiff(Context{.stop = stop.get_token()}, -1, OpenRoot(left_).get(), sink),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(CompareTest, NestingIsBounded) {
  std::string deep = left_.string();
  kernel::UniqueFd at = OpenRoot(left_);
  for (int i = 0; i < 1100; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), "d", 0755), 0);
    at = kernel::UniqueFd(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  StringWriter sink;
  EXPECT_THAT(WriteDiff(Context{}, -1, OpenRoot(left_).get(), sink),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

// Two trees of directories in each other, `levels` deep, whose last ones differ.
void MakeDeep(const Path& root, int levels, const std::string& last) {
  kernel::UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < levels; ++i) {
    ASSERT_EQ(::mkdirat(fd.get(), "d", 0755), 0);
    fd.Reset(::openat(fd.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ASSERT_EQ(::mkdirat(fd.get(), last.c_str(), 0755), 0);
}

TEST_F(CompareTest, ADeepTreeTakesFewDescriptors) {
  constexpr int kLevels = 300;
  create_directory(right_);
  MakeDeep(left_, kLevels, "left");
  MakeDeep(right_, kLevels, "right");
  // Also where only one tree goes on, and after the way back.
  create_directory(right_ / "n");
  MakeDeep(right_ / "n", kLevels, "new");
  create_directory(right_ / "z");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{.rlim_cur = 200, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto diff = DiffOf(left_, right_);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_THAT(diff, IsOk());
  const std::vector<std::string> entries = EntriesOf(diff);
  // The levels that both have, of which the times differ or which are parents; a deletion and an
  // addition below; the levels of the new tree; what follows.
  EXPECT_EQ(entries.size(), kLevels + 2 + 1 + kLevels + 1 + 1U);
  EXPECT_THAT(entries.back(), ::testing::HasSubstr("z"));
}

}  // namespace
}  // namespace gantry::archive
