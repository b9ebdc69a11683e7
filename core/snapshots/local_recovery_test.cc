// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/local_recovery.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "core/snapshots/snapshot_directories.h"
#include "core/snapshots/testing/local_fixture.h"

namespace gantry::snapshots {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using metadata::TableId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using Code = absl::StatusCode;
using State = FoundDirectory::State;

class LocalRecoveryTest : public LocalFixture {
 protected:
  // The note of what was on disk at the last start.
  std::optional<std::string> OnDisk() {
    const auto txn = metadata_->Read();
    auto row = txn->Get(TableId::kMeta, "snapshots-on-disk/fake");
    EXPECT_THAT(row, IsOk());
    return row.ok() && *row ? std::optional<std::string>(**row) : std::nullopt;
  }
};

TEST_F(LocalRecoveryTest, ADirectoryThatWasNeverRecordedIsSwept) {
  ASSERT_THAT(Prepare("a"), IsOk());
  PlantDirectory(2, State::kProvisional);
  ASSERT_THAT(Start(), IsOk());
  EXPECT_THAT(Directories(), ElementsAre(Pair(1, State::kPublished)));
  ASSERT_THAT(Prepare("b"), IsOk());
  EXPECT_FALSE(Directories().contains(2)) << "a number was used twice";
}

TEST_F(LocalRecoveryTest, ARecordedDirectoryIsPublished) {
  ASSERT_THAT(Prepare("a"), IsOk());
  PlantDirectory(1, State::kProvisional);
  ASSERT_THAT(Start(), IsOk());
  EXPECT_THAT(Directories(), ElementsAre(Pair(1, State::kPublished)));
}

TEST_F(LocalRecoveryTest, WhatAPowerCutTookOfActiveSnapshotsIsMadeAnew) {
  ASSERT_THAT(Start({.boot = "first"}), IsOk());
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(Prepare("a", "base"), IsOk());
  ASSERT_THAT(View("v", "base"), IsOk());
  LoseDirectory(2);
  LoseDirectory(3);
  ASSERT_THAT(Start({.boot = "second"}), IsOk());
  EXPECT_THAT(Directories(), SizeIs(3));
  EXPECT_THAT(snapshotter_->damaged(), IsEmpty());
}

TEST_F(LocalRecoveryTest, WhatCouldOnlyBeMadeHalfWayIsReportedAndGone) {
  ASSERT_THAT(Start({.boot = "first"}), IsOk());
  ASSERT_THAT(Prepare("a"), IsOk());
  LoseDirectory(1);
  const auto fail = [](const std::string& step, uint64_t) {
    return step == "publish" ? ResourceExhausted("disk full") : absl::OkStatus();
  };
  ASSERT_THAT(Start({.boot = "second"}, true, fail), IsOk());
  EXPECT_THAT(snapshotter_->damaged(), ElementsAre("ns/a"));
  EXPECT_THAT(Directories(), IsEmpty());
  driver_->SetHook(nullptr);
  EXPECT_THAT(Mounts("a"), StatusIs(Code::kInternal, HasSubstr("no such directory")));
  // The next start tries again.
  ASSERT_THAT(Start({.boot = "second"}), IsOk());
  EXPECT_THAT(snapshotter_->damaged(), IsEmpty());
  EXPECT_THAT(Directories(), SizeIs(1));
}

TEST_F(LocalRecoveryTest, WhatAStartThatDiedLeftHalfMadeIsMadeAgain) {
  ASSERT_THAT(Start({.boot = "first"}), IsOk());
  ASSERT_THAT(Prepare("a"), IsOk());
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(View("v", "base"), IsOk());
  std::vector<uint64_t> made;
  const auto note = [&](const std::string& step, uint64_t id) {
    if (step == "prepare") made.push_back(id);
    return absl::OkStatus();
  };
  for (const auto& [boot, ids] : {std::pair("second", std::vector<uint64_t>{1, 3}),
                                  std::pair("second", std::vector<uint64_t>{3})}) {
    PlantDirectory(1, State::kProvisional);
    PlantDirectory(3, State::kProvisional);
    made.clear();
    ASSERT_THAT(Start({.boot = boot}, true, note), IsOk());
    EXPECT_EQ(made, ids);
    EXPECT_THAT(Directories(), ElementsAre(Pair(1, State::kPublished), Pair(2, State::kPublished),
                                           Pair(3, State::kPublished)));
  }
}

TEST_F(LocalRecoveryTest, AViewIsMadeAnewWhateverTookIt) {
  ASSERT_THAT(Start({.boot = "first"}), IsOk());
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(View("v", "base"), IsOk());
  LoseDirectory(2);
  ASSERT_THAT(Start({.boot = "first"}), IsOk());
  EXPECT_THAT(snapshotter_->damaged(), IsEmpty());
  EXPECT_THAT(Directories(), SizeIs(2));
}

TEST_F(LocalRecoveryTest, WithoutANameOfTheBootNoPowerCutIsRecognized) {
  ASSERT_THAT(Start({.boot = "first"}), IsOk());
  ASSERT_THAT(Prepare("a"), IsOk());
  const std::string absent = dir_.path() / "absent";
  const auto before = OnDisk();
  ASSERT_THAT(Start({.boot_file = absent}), IsOk());
  EXPECT_EQ(OnDisk(), before) << "a note without a name would explain nothing later";
  LoseDirectory(1);
  ASSERT_THAT(Start({.boot_file = absent}), IsOk());
  EXPECT_THAT(snapshotter_->damaged(), ElementsAre("ns/a"));
}

TEST_F(LocalRecoveryTest, WhatNoPowerCutExplainsIsReportedNotMade) {
  ASSERT_THAT(Start({.boot = "first"}), IsOk());
  ASSERT_THAT(Prepare("a"), IsOk());
  LoseDirectory(1);
  ASSERT_THAT(Start({.boot = "first"}), IsOk());
  EXPECT_THAT(snapshotter_->damaged(), ElementsAre("ns/a")) << "the machine was up all the time";
  ASSERT_THAT(Start({.boot = "second"}), IsOk());
  EXPECT_THAT(snapshotter_->damaged(), ElementsAre("ns/a")) << "it was lost before the power cut";
  EXPECT_THAT(Directories(), IsEmpty());
  EXPECT_THAT(Mounts("a"), StatusIs(Code::kInternal, HasSubstr("no such directory")));
  EXPECT_THAT(Remove("a"), IsOk());
  EXPECT_THAT(Cleanup(), IsOk());
}

TEST_F(LocalRecoveryTest, WhatWasThereAtAStartIsOnDiskBeforeThatIsNoted) {
  ASSERT_THAT(Start({.boot = "first"}), IsOk());
  ASSERT_THAT(Prepare("a"), IsOk());
  const auto before = OnDisk();
  const auto fail = [](const std::string& step, uint64_t) {
    return step == "sync" ? Internal("sync") : absl::OkStatus();
  };
  ASSERT_THAT(Start({.boot = "first"}, true, fail), IsOk());
  EXPECT_EQ(OnDisk(), before);
  ASSERT_THAT(Start({.boot = "first"}), IsOk());
  EXPECT_NE(OnDisk(), before);
}

TEST_F(LocalRecoveryTest, ACommittedSnapshotWithoutDirectoryIsReportedNotMade) {
  ASSERT_THAT(Layer("base"), IsOk());
  LoseDirectory(1);
  ASSERT_THAT(Start(), IsOk());
  EXPECT_THAT(snapshotter_->damaged(), ElementsAre("ns/base"));
  EXPECT_THAT(Directories(), IsEmpty());
}

TEST_F(LocalRecoveryTest, TrashIsFreedAfterARestart) {
  ASSERT_THAT(Prepare("a"), IsOk());
  ASSERT_THAT(Prepare("b"), IsOk());
  ASSERT_THAT(Remove("a"), IsOk());
  ASSERT_THAT(Remove("b"), IsOk());
  PlantDirectory(2, State::kDiscarded);
  ASSERT_THAT(Start(), IsOk());
  EXPECT_THAT(Directories(), SizeIs(2));
  ASSERT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(Directories(), IsEmpty());
}

TEST_F(LocalRecoveryTest, UnknownDirectoriesAreRefusedAndLeftAlone) {
  ASSERT_THAT(Prepare("a"), IsOk());
  // A later state of this database had 40, and was replaced by this one; 1000 is another daemon's.
  for (const auto& [id, state] :
       {std::pair(uint64_t{40}, State::kPublished), std::pair(uint64_t{1000}, State::kProvisional),
        std::pair(uint64_t{1}, State::kDiscarded)}) {
    const auto before = Directories();
    PlantDirectory(id, state);
    PlantDirectory(2, State::kProvisional);
    const auto planted = Directories();
    EXPECT_THAT(Start(), StatusIs(Code::kFailedPrecondition,
                                  HasSubstr("snapshots that the database does not know")));
    EXPECT_EQ(Directories(), planted);
    LoseDirectory(2);
    LoseDirectory(id);
    PlantDirectory(1, State::kPublished);
  }
  EXPECT_THAT(Start(), IsOk());
}

class ForeignSnapshotsTest : public LocalFixture {
 protected:
  void SetUp() override {
    LocalFixture::SetUp();
    ASSERT_TRUE(std::filesystem::create_directories(Folder("overlayfs") / "snapshots"));
  }
  std::filesystem::path Folder(const std::string& name) {
    return root_ / ("io.containerd.snapshotter.v1." + name);
  }
  absl::Status Check() { return CheckForeignSnapshots(metadata_.get(), root_); }

  const std::filesystem::path root_ = dir_.path() / "root";
};

TEST_F(ForeignSnapshotsTest, AFreshRootPasses) {
  EXPECT_THAT(Check(), IsOk());
  EXPECT_THAT(CheckForeignSnapshots(metadata_.get(), root_ / "absent"), IsOk());
  std::filesystem::create_directories(Folder("overlayfs") / "snapshots" / "lost+found");
  std::filesystem::create_directories(root_ / "other" / "snapshots" / "5");
  EXPECT_THAT(Check(), IsOk());
}

TEST_F(ForeignSnapshotsTest, UnknownDirectoriesOrAContainerdDatabaseAreRefused) {
  const auto unknown = Folder("overlayfs") / "snapshots" / "7";
  std::filesystem::create_directories(unknown / "fs");
  EXPECT_THAT(Check(), StatusIs(Code::kFailedPrecondition, HasSubstr("such as 7")));
  EXPECT_TRUE(std::filesystem::exists(unknown / "fs"));
  std::filesystem::remove_all(unknown);
  EXPECT_THAT(Check(), IsOk());
  std::ofstream(Folder("overlayfs") / "metadata.db") << "bolt";
  EXPECT_THAT(Check(), StatusIs(Code::kFailedPrecondition, HasSubstr("containerd")));
}

TEST_F(ForeignSnapshotsTest, OwnDirectoriesPass) {
  ASSERT_THAT(Prepare("a"), IsOk());
  std::filesystem::create_directories(Folder("fake") / "snapshots" / "1");
  std::filesystem::create_directories(Folder("fake") / "snapshots" / "new-2");
  EXPECT_THAT(Check(), IsOk());
  std::filesystem::create_directories(Folder("fake") / "snapshots" / "2");
  EXPECT_THAT(Check(), StatusIs(Code::kFailedPrecondition));
}

TEST(SnapshotDirectoriesTest, StepsMayComeAgain) {
  testing::TempDir dir;
  auto directories = SnapshotDirectories::Open(dir.path() / "root");
  ASSERT_THAT(directories, IsOk());
  ASSERT_THAT(directories->MakeProvisional(3, 0755), IsOk());
  std::ofstream(directories->ProvisionalPath(3) / "half") << "x";
  ASSERT_THAT(directories->MakeProvisional(3, 0755), IsOk());
  EXPECT_FALSE(std::filesystem::exists(directories->ProvisionalPath(3) / "half"));
  for (int i = 0; i < 2; ++i) ASSERT_THAT(directories->Publish(3), IsOk());
  EXPECT_TRUE(std::filesystem::is_directory(directories->Path(3)));
  const auto found = directories->Scan();
  ASSERT_THAT(found, IsOk());
  ASSERT_THAT(*found, SizeIs(1));
  EXPECT_EQ(found->front().id, 3U);
  std::stop_source caller;
  caller.request_stop();
  std::ofstream(directories->Path(3) / "file") << "x";
  EXPECT_THAT(directories->Discard({.stop = caller.get_token()}, 3), StatusIs(Code::kCancelled));
  EXPECT_EQ(directories->Scan()->front().state, State::kDiscarded);
  for (int i = 0; i < 2; ++i) ASSERT_THAT(directories->Discard({}, 3), IsOk());
  EXPECT_THAT(directories->Sync(), IsOk());
  EXPECT_TRUE(directories->Scan()->empty());
  EXPECT_THAT(directories->Publish(3), StatusIs(Code::kInternal));
}

}  // namespace
}  // namespace gantry::snapshots
