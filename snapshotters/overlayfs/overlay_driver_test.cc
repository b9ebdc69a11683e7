// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/overlayfs/overlay_driver.h"

#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "gtest/gtest.h"
#include "snapshotters/overlayfs/support.h"

namespace gantry::overlayfs {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using snapshots::Kind;
using snapshots::Layer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Options = std::vector<std::string>;

class OverlayDriverTest : public ::testing::Test {
 protected:
  void Open(OverlayDriver::Options options = {}) {
    auto directories = snapshots::SnapshotDirectories::Open(dir_.path() / "root");
    ASSERT_THAT(directories, IsOk());
    driver_ = std::make_unique<OverlayDriver>(*std::move(directories), std::move(options));
  }
  std::string Fs(uint64_t id) const { return Base(id) + "/fs"; }
  std::string Base(uint64_t id) const {
    return dir_.path() / "root/snapshots" / std::to_string(id);
  }
  static mount::Mount Only(const mount::Mounts& mounts) {
    EXPECT_EQ(mounts.size(), 1U);
    return mounts.at(0);
  }

  testing::TempDir dir_;
  std::unique_ptr<OverlayDriver> driver_;
};

TEST_F(OverlayDriverTest, WithoutParentItIsABindMount) {
  Open({.mount_options = {"index=off"}});
  EXPECT_EQ(Only(driver_->MountsOf({.id = 1})),
            (mount::Mount{.type = "bind", .source = Fs(1), .options = {"rw", "rbind"}}));
  EXPECT_EQ(Only(driver_->MountsOf({.id = 1, .kind = Kind::kView})),
            (mount::Mount{.type = "bind", .source = Fs(1), .options = {"ro", "rbind"}}));
}

TEST_F(OverlayDriverTest, AViewOfOneLayerIsThatLayer) {
  Open({.mount_options = {"index=off"}});
  EXPECT_EQ(Only(driver_->MountsOf({.id = 2, .kind = Kind::kView, .parents = {1}})),
            (mount::Mount{.type = "bind", .source = Fs(1), .options = {"ro", "rbind"}}));
}

TEST_F(OverlayDriverTest, OverlayOptionsComeInTheirOrder) {
  Open({.mount_options = {"volatile", "index=off"}});
  EXPECT_EQ(
      Only(driver_->MountsOf({.id = 3, .parents = {2, 1}})),
      (mount::Mount{.type = "overlay",
                    .source = "overlay",
                    .options = {"workdir=" + Base(3) + "/work", "upperdir=" + Fs(3),
                                "lowerdir=" + Fs(2) + ":" + Fs(1), "volatile", "index=off"}}));
  EXPECT_EQ(Only(driver_->MountsOf({.id = 3, .kind = Kind::kView, .parents = {2, 1}})).options,
            (Options{"lowerdir=" + Fs(2) + ":" + Fs(1), "volatile", "index=off"}));
}

TEST_F(OverlayDriverTest, IdMapsComeFirstWhereTheKernelCan) {
  const Layer layer{.id = 2,
                    .parents = {1},
                    .labels = {{std::string(snapshots::kUidMappingLabel), "0:1000:10"},
                               {std::string(snapshots::kGidMappingLabel), "0:2000:10"}}};
  Open({.remap_ids = true});
  EXPECT_EQ(Only(driver_->MountsOf(layer)).options,
            (Options{"uidmap=0:1000:10", "gidmap=0:2000:10", "workdir=" + Base(2) + "/work",
                     "upperdir=" + Fs(2), "lowerdir=" + Fs(1)}));
  Open();
  EXPECT_EQ(Only(driver_->MountsOf(layer)).options.size(), 3U);
}

TEST_F(OverlayDriverTest, DirectoriesHaveFixedModesWhateverTheUmask) {
  Open();
  const mode_t mask = ::umask(0077);
  ASSERT_THAT(driver_->Prepare({}, {.id = 1}), IsOk());
  ASSERT_THAT(driver_->Prepare({}, {.id = 2, .kind = Kind::kView}), IsOk());
  ::umask(mask);
  ASSERT_THAT(driver_->Publish(1), IsOk());
  ASSERT_THAT(driver_->Publish(2), IsOk());
  const auto mode = [](const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  };
  EXPECT_EQ(mode(dir_.path() / "root"), 0700U);
  EXPECT_EQ(mode(Base(1)), 0700U);
  EXPECT_EQ(mode(Fs(1)), 0755U);
  EXPECT_EQ(mode(Base(1) + "/work"), 0711U);
  EXPECT_EQ(mode(Base(2) + "/work"), 0U);
}

TEST_F(OverlayDriverTest, BadIdMapLabelsAreInvalid) {
  Open();
  const auto prepare = [&](Labels labels) {
    const absl::Status checked = driver_->CheckLabels(labels);
    const absl::Status made = driver_->Prepare({}, {.id = 1, .labels = std::move(labels)});
    EXPECT_EQ(checked, made) << "a later change must meet the same check";
    return made;
  };
  const std::string uids(snapshots::kUidMappingLabel);
  const std::string gids(snapshots::kGidMappingLabel);
  EXPECT_THAT(prepare({{uids, "0:0:1"}}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(prepare({{uids, "x"}, {gids, "0:0:1"}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(uids)));
  EXPECT_THAT(prepare({{uids, "1:0:1"}, {gids, "0:0:1"}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("root")));
}

TEST_F(OverlayDriverTest, TheUpperDirectoryIsALabelOnlyIfConfigured) {
  Open();
  EXPECT_TRUE(driver_->ExtraLabels({.id = 1}).empty());
  Open({.upperdir_label = true});
  EXPECT_EQ(driver_->ExtraLabels({.id = 1}),
            (Labels{{"containerd.io/snapshot/overlay.upperdir", Fs(1)}}));
}

TEST(OverlaySupportTest, AutomaticOptionsComeOnceAndAfterConfiguredOnes) {
  const Support host{.knows_index = true};
  EXPECT_THAT(MountOptions({}, host), ElementsAre("index=off"));
  EXPECT_THAT(MountOptions({"index=on", "volatile"}, host), ElementsAre("index=on", "volatile"));
  EXPECT_THAT(MountOptions({"volatile"}, {}), ElementsAre("volatile"));
  const Support mapped{.needs_userxattr = true, .knows_index = true};
  EXPECT_THAT(MountOptions({}, mapped), ElementsAre("userxattr", "index=off"));
  EXPECT_THAT(MountOptions({"userxattr"}, mapped), ElementsAre("userxattr", "index=off"));
}

TEST(OverlaySupportTest, AUserNamespaceIsKnownByItsMap) {
  EXPECT_FALSE(IsMapped("         0          0 4294967295\n"));
  EXPECT_TRUE(IsMapped("         0       1000          1\n"));
  EXPECT_TRUE(IsMapped("         0          0      65536\n"));
}

TEST(OverlaySupportTest, OrdinaryFileSystemsTellEntryTypes) {
  testing::TempDir dir;
  EXPECT_THAT(CheckDirectoryTypes(dir.path()), IsOk());
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

}  // namespace
}  // namespace gantry::overlayfs
