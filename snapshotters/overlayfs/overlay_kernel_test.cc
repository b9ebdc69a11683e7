// SPDX-License-Identifier: Apache-2.0
// The suite on the kernel's own overlays, and what only this snapshotter promises.
#include <sched.h>
#include <sys/wait.h>

#include "core/snapshots/testing/damaged_start.h"
#include "core/snapshots/testing/local_test_bed.h"
#include "core/snapshots/testing/snapshotter_suite.h"
#include "snapshotters/overlayfs/overlay_driver.h"
#include "snapshotters/overlayfs/plugin.h"
#include "snapshotters/overlayfs/support.h"

namespace gantry::snapshots {
namespace {

using overlayfs::OverlayDriver;

absl::StatusOr<std::unique_ptr<LocalDriver>> MakeDriver(const std::filesystem::path& root) {
  ASSIGN_OR_RETURN(auto directories, SnapshotDirectories::Open(root));
  RETURN_IF_ERROR(overlayfs::CheckDirectoryTypes(root));
  ASSIGN_OR_RETURN(const overlayfs::Support support, overlayfs::DetectSupport(root));
  return std::make_unique<OverlayDriver>(
      std::move(directories),
      OverlayDriver::Options{.mount_options = overlayfs::MountOptions({}, support),
                             .remap_ids = support.remap_ids});
}

SuiteParam Overlay(std::string file_system) {
  return {
      .name = "overlayfs",
      .file_system = std::move(file_system),
      .make = [](const std::filesystem::path& root) -> absl::StatusOr<std::unique_ptr<TestBed>> {
        return LocalTestBed::Make(root, "overlayfs", MakeDriver);
      },
      .renames_directories = false};
}

INSTANTIATE_TEST_SUITE_P(Tmpfs, SnapshotterSuite, ::testing::Values(Overlay("tmpfs")));
INSTANTIATE_TEST_SUITE_P(Ext4, SnapshotterSuite, ::testing::Values(Overlay("ext4")));

class OverlayKernelTest : public SnapshotterSuite {
 protected:
  void SetUp() override {
    SnapshotterSuite::SetUp();
    if (!IsSkipped() && !overlayfs::TryIdmappedLayers(work_ / "root"))
      testing::SkipFor("id-mapped overlay layers");
  }
};
INSTANTIATE_TEST_SUITE_P(Ext4, OverlayKernelTest, ::testing::Values(Overlay("ext4")));

// Every owner below `at` must be this one.
void ExpectOwner(const std::filesystem::path& at, uid_t uid, gid_t gid) {
  for (const std::string path : {"", "dir", "dir/file"}) {
    struct stat info {};
    ASSERT_EQ(::lstat((at / path).c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_uid, uid) << path;
    EXPECT_EQ(info.st_gid, gid) << path;
  }
}

TEST_P(OverlayKernelTest, IdMapsShiftTheOwnersThatTheMountShows) {
  const auto fill = [](const Tree& tree) {
    tree.Dir("dir");
    tree.File("dir/file", "x");
  };
  Layer("base", "", fill);
  Layer("top", "base", [](const Tree&) {});
  const Labels maps = {{std::string(kUidMappingLabel), "0:100000:65536"},
                       {std::string(kGidMappingLabel), "0:200000:65536"}};
  WithMounted(Prepare("mapped", "top", maps),
              [](const auto& at) { ExpectOwner(at, 100000, 200000); });
  WithMounted(Prepare("plain", "top"), [](const auto& at) { ExpectOwner(at, 0, 0); });
}

TEST_P(OverlayKernelTest, AChildTakesTheOwnerOfItsParentsRoot) {
  Layer("base", "", [](const Tree& tree) { tree.Chown("", 1000, 1001); });
  WithMounted(Prepare("child", "base"), [](const auto& at) {
    struct stat info {};
    ASSERT_EQ(::stat(at.c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 1000U);
    EXPECT_EQ(info.st_gid, 1001U);
  });
}

TEST_P(OverlayKernelTest, TrialsLeaveNothingBehind) {
  EXPECT_TRUE(overlayfs::TryUserXattr(work_ / "root"));
  EXPECT_TRUE(overlayfs::TryIdmappedLayers(work_ / "root"));
  for (const auto& entry : std::filesystem::directory_iterator(work_ / "root"))
    EXPECT_FALSE(entry.path().filename().string().starts_with("trial-")) << entry.path();
}

TEST_P(OverlayKernelTest, ThePluginTellsHowManySnapshotsAreDamaged) {
  const auto exports = ExportsWhenDamaged(overlayfs::OverlayPlugin(), work_ / "daemon");
  ASSERT_THAT(exports, testing::IsOk());
  EXPECT_THAT(*exports, ::testing::Contains(::testing::Pair("damaged", "1")));
}

}  // namespace
}  // namespace gantry::snapshots
