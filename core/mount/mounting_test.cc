// SPDX-License-Identifier: Apache-2.0
#include "core/mount/mounting.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/base/status.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"
#include "core/kernel/mount.h"
#include "core/kernel/mountinfo.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"
#include "core/mount/temp_mounts.h"

namespace gantry::mount {
namespace {

namespace fs = std::filesystem;
using gantry::testing::IsOk;
using gantry::testing::StatusIs;
using gantry::testing::Succeeds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(ReadOnlyTest, AnOverlaysUpperDirectoryBecomesItsFirstLower) {
  const Mounts mounts = ReadOnly({{"overlay",
                                   "overlay",
                                   "",
                                   {"index=off", "workdir=/w", "upperdir=/u", "lowerdir=/a:/b",
                                    "uidmap=0:1:1", "gidmap=0:1:1"}}});
  EXPECT_THAT(mounts[0].options, ElementsAre("index=off", "lowerdir=/u:/a:/b"));
  const Mounts view = ReadOnly({{"overlay", "overlay", "", {"lowerdir=/a:/b"}}});
  EXPECT_THAT(view[0].options, ElementsAre("lowerdir=/a:/b"));
}

TEST(ReadOnlyTest, OtherTypesBecomeReadOnlyOnce) {
  EXPECT_THAT(ReadOnly({{"bind", "/s", "", {"rbind", "rw"}}})[0].options,
              ElementsAre("rbind", "ro"));
  EXPECT_THAT(ReadOnly({{"bind", "/s", "", {"ro", "rbind"}}})[0].options,
              ElementsAre("rbind", "ro"));
  EXPECT_THAT(ReadOnly({{"fuse3.x", "/s", "", {"uidmapping=0:1:1"}}})[0].options,
              ElementsAre("ro"));
}

TEST(WithoutVolatileTest, OnlyOverlaysLoseTheWord) {
  const Mounts mounts =
      WithoutVolatile({{"overlay", "o", "", {"volatile", "fsync=volatile", "lowerdir=/a"}},
                       {"other", "o", "", {"volatile"}}});
  EXPECT_THAT(mounts[0].options, ElementsAre("lowerdir=/a"));
  EXPECT_THAT(mounts[1].options, ElementsAre("volatile"));
}

class MountingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gantry::testing::RequirePrivateMounts();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_THAT(kernel::Mount({"tmpfs", "tmpfs", {}}, dir_.path().string()), Succeeds());
    for (const char* name : {"target", "a", "b", "upper", "work"}) fs::create_directory(At(name));
    Write("a/from-a");
    Write("b/from-b");
  }
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_THAT(kernel::UnmountTree(dir_.path().string(), MNT_DETACH), Succeeds());
  }

  fs::path At(const fs::path& name) const { return dir_.path() / name; }
  std::string Path(const fs::path& name) const { return At(name).string(); }
  void Write(const fs::path& name) { std::ofstream(At(name)) << name.string(); }
  size_t MountsBelow(const fs::path& name) const {
    auto table = kernel::ReadMountInfo();
    return table ? kernel::MountsAtOrBelow(*table, Path(name)).size() : 999;
  }
  Mount Bind(const fs::path& source, std::string target = {}) const {
    return {"bind", Path(source), std::move(target), {"rbind", "rw"}};
  }
  Mounts Overlay() const {
    return {{"overlay",
             "overlay",
             "",
             {"workdir=" + Path("work"), "upperdir=" + Path("upper"), "lowerdir=" + Path("a"),
              "volatile"}}};
  }

  gantry::testing::TempDir dir_;
};

TEST_F(MountingTest, MountsAreMadeInOrderEachOnWhatCameBefore) {
  fs::create_directories(At("a/sub"));
  ASSERT_THAT(MountAll({Bind("a"), Bind("b", "/sub")}, Path("target")), IsOk());
  EXPECT_TRUE(fs::exists(At("target/from-a")));
  EXPECT_TRUE(fs::exists(At("target/sub/from-b")));
  ASSERT_THAT(UnmountAll(Path("target")), IsOk());
  EXPECT_EQ(MountsBelow("target"), 0U);
  ASSERT_THAT(UnmountAll(Path("target")), IsOk());
}

TEST_F(MountingTest, ATargetOfItsOwnDoesNotLeadOut) {
  fs::create_directories(At("a/etc"));
  fs::create_directories(At("etc"));
  fs::create_symlink("/etc", At("a/link"));
  ASSERT_THAT(MountAll({Bind("a"), Bind("b", "link")}, Path("target")), IsOk());
  EXPECT_TRUE(fs::exists(At("target/etc/from-b")));
  EXPECT_EQ(MountsBelow("etc"), 0U);
  fs::create_symlink("../../../../nothing", At("b/bad"));
  EXPECT_THAT(MountAll({Bind("b"), Bind("a", "bad")}, Path("target")),
              StatusIs(absl::StatusCode::kUnknown));
}

TEST_F(MountingTest, AFailureUndoesWhatWasMade) {
  EXPECT_THAT(MountAll({Bind("a"), Bind("none")}, Path("target")),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("No such file or directory")));
  EXPECT_EQ(MountsBelow("target"), 0U);
}

TEST_F(MountingTest, WordsOfTheMountManagerNeverReachTheKernel) {
  Mount mount = Bind("a");
  mount.options.emplace_back("X-containerd.mkdir.path=/x");
  EXPECT_THAT(MountAll({mount}, Path("target")),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("X-containerd.mkdir.path")));
  EXPECT_EQ(MountsBelow("target"), 0U);
}

class TempMountsTest : public MountingTest {
 protected:
  TempMounts Open() { return *TempMounts::Open(At("tmpmounts")); }
  size_t Directories() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(At("tmpmounts")), {}));
  }
};

TEST_F(TempMountsTest, TheMountExistsWhileTheBodyRuns) {
  const TempMounts temp = Open();
  std::string seen;
  EXPECT_THAT(temp.With(Overlay(),
                        [&](const std::string& path) {
                          seen = path;
                          EXPECT_TRUE(fs::exists(fs::path(path) / "from-a"));
                          std::ofstream(fs::path(path) / "new") << "x";
                          return absl::OkStatus();
                        }),
              IsOk());
  EXPECT_FALSE(fs::exists(seen));
  EXPECT_TRUE(fs::exists(At("upper/new")));
  // A volatile mount would not allow this.
  EXPECT_THAT(temp.With(Overlay(), [](const std::string&) { return absl::OkStatus(); }), IsOk());
  EXPECT_EQ(Directories(), 0U);
}

TEST_F(TempMountsTest, ReadOnlyMeansThatNothingChanges) {
  const TempMounts temp = Open();
  Write("upper/from-upper");
  Mounts mounts = Overlay();
  for (const Mounts& list : {mounts, Mounts{Bind("a")}}) {
    auto mount = temp.MakeReadOnly(list);
    ASSERT_THAT(mount, IsOk());
    EXPECT_TRUE(fs::exists(fs::path(mount->path()) / "from-a"));
    EXPECT_EQ(::open((mount->path() + "/new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600), -1);
    EXPECT_EQ(errno, EROFS);
  }
  EXPECT_EQ(Directories(), 0U);
}

TEST_F(TempMountsTest, FailuresOfTheBodyComeBackAndNothingStays) {
  const TempMounts temp = Open();
  EXPECT_THAT(temp.With(Overlay(), [](const std::string&) { return Aborted("no"); }),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(temp.With({Bind("none")}, [](const std::string&) { return absl::OkStatus(); }),
              StatusIs(absl::StatusCode::kUnknown));
  EXPECT_EQ(Directories(), 0U);
}

TEST_F(TempMountsTest, AMountThatCannotBeUndoneLosesNoData) {
  const TempMounts temp = Open();
  auto mount = temp.Make({Bind("a")});
  ASSERT_THAT(mount, IsOk());
  {
    const auto user = kernel::Open(mount->path(), O_RDONLY);
    ASSERT_THAT(user, Succeeds());
    EXPECT_FALSE(mount->Unmount().ok());
  }
  EXPECT_TRUE(fs::exists(At("a/from-a")));
  EXPECT_THAT(mount->Unmount(), IsOk());
}

TEST_F(TempMountsTest, LeftMountsGoAtTheNextStartAndTheirDataStays) {
  {
    const TempMounts temp = Open();
    fs::create_directories(At("tmpmounts/gantry-mount-left"));
    ASSERT_THAT(MountAll({Bind("a"), Bind("b")}, Path("tmpmounts/gantry-mount-left")), IsOk());
  }
  Open();
  EXPECT_EQ(MountsBelow("tmpmounts"), 0U);
  EXPECT_EQ(Directories(), 0U);
  EXPECT_TRUE(fs::exists(At("a/from-a")));
  EXPECT_TRUE(fs::exists(At("b/from-b")));
  Write("tmpmounts/not-ours");
  Open();
  EXPECT_TRUE(fs::exists(At("tmpmounts/not-ours")));
}

}  // namespace
}  // namespace gantry::mount
