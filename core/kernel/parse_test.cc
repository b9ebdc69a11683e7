// SPDX-License-Identifier: Apache-2.0
// The texts that the kernel library reads: option words, mount tables, cgroup lines, id maps.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "core/kernel/cgroup.h"
#include "core/kernel/file.h"
#include "core/kernel/idmap.h"
#include "core/kernel/mount_options.h"
#include "core/kernel/mountinfo.h"
#include "core/kernel/overlay_mount.h"
#include "core/kernel/testing/require.h"

namespace gantry::kernel {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

MountOptions Parse(const std::vector<std::string>& words) {
  auto options = ParseMountOptions(words);
  EXPECT_TRUE(options) << options.error().Text();
  return options ? *options : MountOptions{};
}

TEST(MountOptionsTest, FlagsAreSetAndClearedInOrder) {
  EXPECT_EQ(Parse({"ro", "nosuid", "nodev", "noexec"}).flags,
            MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
  EXPECT_EQ(Parse({"ro", "rw"}).flags, 0U);
  EXPECT_EQ(Parse({"rw", "ro"}).flags, static_cast<unsigned long>(MS_RDONLY));
  EXPECT_EQ(Parse({"rbind"}).flags, MS_BIND | MS_REC);
  EXPECT_EQ(Parse({"noatime", "relatime", "atime"}).flags, static_cast<unsigned long>(MS_RELATIME));
  EXPECT_EQ(Parse({"sync", "dirsync", "mand", "async", "nomand"}).flags,
            static_cast<unsigned long>(MS_DIRSYNC));
}

TEST(MountOptionsTest, OtherWordsAreDataUnsplitAndInOrder) {
  const auto options = Parse({"ro", "size=1m", "context=\"a:c1,c2\"", "defaults", "userxattr"});
  EXPECT_THAT(options.data, ElementsAre("size=1m", "context=\"a:c1,c2\"", "defaults", "userxattr"));
  EXPECT_EQ(options.JoinedData(), "size=1m,context=\"a:c1,c2\",defaults,userxattr");
}

TEST(MountOptionsTest, PropagationIsApart) {
  const auto options = Parse({"rbind", "rslave", "shared"});
  EXPECT_EQ(options.flags, MS_BIND | MS_REC);
  EXPECT_THAT(options.propagation, ElementsAre(MS_SLAVE | MS_REC, MS_SHARED));
}

TEST(MountOptionsTest, LoopTakesDirectIoAlong) {
  const auto loop = Parse({"loop", "direct-io", "noload"});
  EXPECT_TRUE(loop.loop && loop.direct_io);
  EXPECT_THAT(loop.data, ElementsAre("noload"));
  const auto plain = Parse({"direct-io"});
  EXPECT_FALSE(plain.direct_io);
  EXPECT_THAT(plain.data, ElementsAre("direct-io"));
}

TEST(MountOptionsTest, IdMapsNeedEachOther) {
  const auto both = Parse({"uidmap=0:1000:10", "gidmap=0:2000:10"});
  EXPECT_EQ(both.uid_map, "0:1000:10");
  EXPECT_EQ(both.gid_map, "0:2000:10");
  EXPECT_THAT(both.data, SizeIs(0));
  EXPECT_FALSE(ParseMountOptions({"uidmap=0:1000:10"}));
}

TEST(MountOptionsTest, WordsOfTheMountManagerAreRefused) {
  auto options = ParseMountOptions({"ro", "X-containerd.mkdir.path=/x"});
  ASSERT_FALSE(options);
  EXPECT_EQ(options.error().err, EINVAL);
  EXPECT_THAT(options.error().what, ::testing::HasSubstr("X-containerd.mkdir.path"));
}

TEST(MountOptionsTest, OptionValueFindsTheWholeKey) {
  const std::vector<std::string> words = {"lowerdir+=/a", "upperdir=/u=v", "upperdirx=/w"};
  EXPECT_EQ(OptionValue(words, "upperdir"), "/u=v");
  EXPECT_EQ(OptionValue(words, "lowerdir"), std::nullopt);
}

TEST(MountInfoTest, FieldsAreSplitAndEscapesUndone) {
  auto mounts = ParseMountInfo(
      "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root "
      "rw,errors=continue\n"
      "40 36 0:45 / /a\\134b ro - tmpfs  rw,size=4k\n");
  ASSERT_TRUE(mounts);
  ASSERT_THAT(*mounts, SizeIs(2));
  const MountInfo& first = (*mounts)[0];
  EXPECT_EQ(first.id, 36U);
  EXPECT_EQ(first.parent, 35U);
  EXPECT_EQ(first.major, 98U);
  EXPECT_EQ(first.minor, 0U);
  EXPECT_EQ(first.root, "/mnt1");
  EXPECT_EQ(first.mount_point, "/mnt 2");
  EXPECT_EQ(first.options, "rw,noatime");
  EXPECT_EQ(first.optional, "master:1 shared:7");
  EXPECT_EQ(first.fs_type, "ext3");
  EXPECT_EQ(first.source, "/dev/root");
  EXPECT_EQ(first.super_options, "rw,errors=continue");
  EXPECT_EQ((*mounts)[1].mount_point, "/a\\b");
  EXPECT_EQ((*mounts)[1].source, "");
  EXPECT_EQ((*mounts)[1].super_options, "rw,size=4k");
}

TEST(MountInfoTest, BrokenLinesAreErrors) {
  for (const char* text : {"x", "1 2 3:4 / / rw", "1 2 3 / / rw - a b c", "1 2 3:4 / / rw - "}) {
    EXPECT_FALSE(ParseMountInfo(text)) << text;
  }
}

TEST(MountInfoTest, OwnTableIsReadable) {
  auto mounts = ReadMountInfo();
  ASSERT_TRUE(mounts) << mounts.error().Text();
  EXPECT_THAT(MountsAtOrBelow(*mounts, "/proc"), ::testing::Not(SizeIs(0)));
}

TEST(MountInfoTest, BelowMeansWholePathComponents) {
  std::vector<MountInfo> mounts(4);
  mounts[0].mount_point = "/a";
  mounts[1].mount_point = "/a/b";
  mounts[2].mount_point = "/ab";
  mounts[3].mount_point = "/";
  EXPECT_THAT(MountsAtOrBelow(mounts, "/a/"), SizeIs(2));
  EXPECT_THAT(MountsAtOrBelow(mounts, "/"), SizeIs(4));
}

TEST(CgroupTest, LinesOfBothVersionsAreParsed) {
  auto memberships =
      ParseProcCgroup("12:cpu,cpuacct:/docker/abc\n1:name=systemd:/user.slice\n0::/a:b/c\n");
  ASSERT_TRUE(memberships);
  EXPECT_EQ(CgroupPathOf(*memberships, "cpuacct"), "/docker/abc");
  EXPECT_EQ(CgroupPathOf(*memberships, "name=systemd"), "/user.slice");
  EXPECT_EQ(CgroupPathOf(*memberships, ""), "/a:b/c");
  EXPECT_EQ(CgroupPathOf(*memberships, "memory"), std::nullopt);
  EXPECT_FALSE(ParseProcCgroup("12:cpu"));
  EXPECT_FALSE(ParseProcCgroup("x:cpu:/"));
}

TEST(CgroupTest, ACgroupHasADirectoryInEachTreeThatItIsIn) {
  const auto memberships = ParseProcCgroup("3:cpu,cpuacct:/a\n2:memory:/m\n0::/u\n");
  ASSERT_TRUE(memberships);
  EXPECT_EQ(CgroupDirectory(CgroupMode::kHybrid, *memberships, "cpuacct"),
            "/sys/fs/cgroup/cpuacct/a");
  EXPECT_EQ(CgroupDirectory(CgroupMode::kLegacy, *memberships, "memory"),
            "/sys/fs/cgroup/memory/m");
  EXPECT_EQ(CgroupDirectory(CgroupMode::kLegacy, *memberships, "pids"), std::nullopt);
  EXPECT_EQ(CgroupDirectory(CgroupMode::kUnified, *memberships, "memory"), "/sys/fs/cgroup/u");
}

TEST(CgroupTest, RejoiningOnesOwnCgroupChangesNothing) {
  const auto own = [] {
    const auto text = ReadFile("/proc/self/cgroup", 1 << 20);
    EXPECT_TRUE(text);
    return text ? *text : "";
  };
  const std::string before = own();
  if (const auto done = RejoinOwnCgroup();
      !done && done.error().err != EROFS && done.error().err != EACCES) {
    ADD_FAILURE() << done.error().Text();
  }
  EXPECT_EQ(own(), before);
}

TEST(CgroupTest, OwnCgroupHasADirectory) {
  auto mode = DetectCgroupMode();
  if (!mode) return gantry::testing::SkipFor("cgroups");
  auto directory = CgroupDirectoryOf(::getpid(), "memory");
  ASSERT_TRUE(directory) << directory.error().Text();
  EXPECT_EQ(::access((*directory + "/cgroup.procs").c_str(), F_OK), 0) << *directory;
  EXPECT_FALSE(DetectCgroupMode("/proc"));
}

TEST(IdMapTest, RangesAreParsed) {
  auto map = ParseIdMap("0:1000:1,1:100000:65535");
  ASSERT_TRUE(map);
  EXPECT_THAT(*map, ElementsAre(IdMapEntry{0, 1000, 1}, IdMapEntry{1, 100000, 65535}));
  for (const char* text :
       {"", "0:1", "0:1:0", "0:1:2,", "0:1:2x", "a:1:2", "0:1:4294967296", "-1:0:1"}) {
    EXPECT_FALSE(ParseIdMap(text)) << text;
  }
}

TEST(OverlayOptionsTest, LowersAreSplitAtPlainColons) {
  const auto options =
      SplitOverlayOptions({"workdir=/w", "lowerdir=/a:/b\\:c:/d", "upperdir=/u", "index=off"});
  EXPECT_THAT(options.lowers, ElementsAre("/a", "/b\\:c", "/d"));
  EXPECT_THAT(options.others, ElementsAre("workdir=/w", "upperdir=/u", "index=off"));
  EXPECT_EQ(JoinLowers(options.lowers), "/a:/b\\:c:/d");
}

TEST(OverlayOptionsTest, CommonDirectoryKeepsWholeComponents) {
  EXPECT_EQ(CommonDirectory({"/s/1/fs", "/s/12/fs"}), "/s");
  EXPECT_EQ(CommonDirectory({"/s/1", "/s/1/fs"}), "/s/1");
  EXPECT_EQ(CommonDirectory({"/s/1/fs"}), "/s/1/fs");
  EXPECT_EQ(CommonDirectory({"/a/x", "/b/x"}), "/");
  EXPECT_EQ(CommonDirectory({}), "/");
}

}  // namespace
}  // namespace gantry::kernel
