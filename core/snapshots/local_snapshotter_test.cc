// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/local_snapshotter.h"

#include <string>
#include <thread>
#include <vector>

#include "core/snapshots/testing/local_fixture.h"

namespace gantry::snapshots {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using metadata::TableId;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Code = absl::StatusCode;
using State = FoundDirectory::State;

class LocalSnapshotterTest : public LocalFixture {};

TEST_F(LocalSnapshotterTest, PreparingAnExistingKeyIsRefusedAndLeasesIt) {
  MakeLease("l");
  ASSERT_THAT(Prepare("active"), IsOk());
  ASSERT_THAT(Layer("committed"), IsOk());
  ASSERT_THAT(View("view", "committed"), IsOk());
  for (const std::string key : {"active", "committed", "view"}) {
    EXPECT_THAT(Prepare(key, "", {}, "l"), StatusIs(Code::kAlreadyExists)) << key;
    EXPECT_THAT(View(key), StatusIs(Code::kAlreadyExists)) << key;
  }
  EXPECT_THAT(Leased("l"), ElementsAre("active", "committed", "view"));
  EXPECT_THAT(Prepare("active", "", {}, "no such lease"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Directories(), SizeIs(3));
}

TEST_F(LocalSnapshotterTest, ATargetThatExistsIsLeasedAndNothingIsMade) {
  MakeLease("l");
  ASSERT_THAT(Layer("target"), IsOk());
  const Labels labels = {{std::string(kTargetLabel), "target"}};
  EXPECT_THAT(Prepare("key", "", labels, "l"), StatusIs(Code::kAlreadyExists, "snapshot target"));
  EXPECT_THAT(Leased("l"), ElementsAre("target"));
  EXPECT_THAT(Stat("key"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Prepare("key", "", {{std::string(kTargetLabel), "other"}}, "l"), IsOk());
}

TEST_F(LocalSnapshotterTest, AParentMustExistAndBeCommitted) {
  ASSERT_THAT(Prepare("active"), IsOk());
  EXPECT_THAT(Prepare("key", "absent"), StatusIs(Code::kNotFound, HasSubstr("absent")));
  EXPECT_THAT(Prepare("key", "active"), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(View("key", "absent"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Directories(), SizeIs(1));
}

TEST_F(LocalSnapshotterTest, KeysAndLabelsAreChecked) {
  EXPECT_THAT(Prepare(""), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Prepare(std::string("a\0b", 3)), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Prepare("k", "", {{"l", std::string(4096, 'x')}}), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Commit("", "k"), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Stat(""), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Remove(""), StatusIs(Code::kInvalidArgument));
  ASSERT_THAT(Prepare("k", "", {{"empty", ""}, {"full", "x"}}), IsOk());
  EXPECT_EQ(Stat("k")->labels, (Labels{{"full", "x"}}));
}

TEST_F(LocalSnapshotterTest, OnlyInheritedLabelsReachTheDriver) {
  ASSERT_THAT(Prepare("k", "",
                      {{"plain", "1"},
                       {"containerd.io/gc.root", "2"},
                       {"containerd.io/snapshot/x", "3"},
                       {"containerd.io/snapshot.ref", "4"},
                       {"containerd.io/snapshot.other", "5"}}),
              IsOk());
  EXPECT_EQ(driver_->seen_labels(),
            (Labels{{"containerd.io/snapshot/x", "3"}, {"containerd.io/snapshot.ref", "4"}}));
  EXPECT_THAT(Stat("k")->labels, SizeIs(5));
}

TEST_F(LocalSnapshotterTest, AReusedKeyGetsANewBackendKeyAndDirectory) {
  ASSERT_THAT(Prepare("k"), IsOk());
  const auto first = Keys(TableId::kSnapshotBackends);
  ASSERT_THAT(Remove("k"), IsOk());
  ASSERT_THAT(Prepare("k"), IsOk());
  const auto second = Keys(TableId::kSnapshotBackends);
  ASSERT_THAT(first, SizeIs(1));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(db::SplitKey(first[0])[1], "ns/1/k");
  EXPECT_EQ(db::SplitKey(second[0])[1], "ns/2/k");
  EXPECT_THAT(Directories(), ElementsAre(Pair(1, State::kPublished), Pair(2, State::kPublished)));
}

TEST_F(LocalSnapshotterTest, NamespacesSeeTheirOwnSnapshots) {
  ASSERT_THAT(Prepare("k"), IsOk());
  EXPECT_THAT(Stat("k", "other"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Keys(TableId::kNamespaces), ElementsAre("ns"));
}

TEST_F(LocalSnapshotterTest, CommitFreesTheKeyAndMovesTheLeaseEntry) {
  MakeLease("l");
  ASSERT_THAT(Prepare("key", "", {{"own", "1"}, {"containerd.io/snapshot/x", "2"}}, "l"), IsOk());
  clock_.Advance(absl::Seconds(5));
  ASSERT_THAT(Commit("name", "key", "", {{"new", "3"}}, "l"), IsOk());
  EXPECT_THAT(Leased("l"), ElementsAre("name"));
  EXPECT_THAT(Stat("key"), StatusIs(Code::kNotFound));
  const auto info = Stat("name");
  ASSERT_THAT(info, IsOk());
  EXPECT_EQ(info->kind, Kind::kCommitted);
  EXPECT_EQ(info->labels, (Labels{{"new", "3"}}));
  EXPECT_EQ(info->created_at, clock_.Now());
  EXPECT_EQ(info->updated_at, clock_.Now());
  EXPECT_THAT(Directories(), ElementsAre(Pair(1, State::kPublished)));
  EXPECT_THAT(Prepare("key", "name"), IsOk());
}

TEST_F(LocalSnapshotterTest, CommitRefusals) {
  MakeLease("l");
  ASSERT_THAT(Layer("name"), IsOk());
  ASSERT_THAT(Prepare("key"), IsOk());
  ASSERT_THAT(View("view", "name"), IsOk());
  EXPECT_THAT(Commit("name", "key", "", {}, "l"), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(Leased("l"), ElementsAre("name"));
  EXPECT_THAT(Commit("key", "key"), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(Commit("new", "view"), StatusIs(Code::kFailedPrecondition));
  EXPECT_THAT(Commit("new", "name"), StatusIs(Code::kFailedPrecondition));
  EXPECT_THAT(Commit("new", "absent"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Commit("new", "key", "", {{"l", std::string(4096, 'x')}}),
              StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Commit("new", "key", "", {}, "no such lease"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Stat("new"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Stat("key"), IsOk());
}

TEST_F(LocalSnapshotterTest, CommitWithAParentRebases) {
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(Layer("other"), IsOk());
  ASSERT_THAT(Prepare("key"), IsOk());
  EXPECT_THAT(Commit("top", "key", "absent"), StatusIs(Code::kNotFound));
  ASSERT_THAT(Prepare("active"), IsOk());
  EXPECT_THAT(Commit("top", "key", "active"), StatusIs(Code::kFailedPrecondition));
  ASSERT_THAT(Commit("top", "key", "base"), IsOk());
  EXPECT_EQ(Stat("top")->parent, "base");
  EXPECT_THAT(Remove("base"), StatusIs(Code::kFailedPrecondition));
  ASSERT_THAT(Prepare("use", "top"), IsOk());
  EXPECT_THAT(Commit("x", "use", "other"), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Commit("x", "use", "top"), IsOk());
}

TEST_F(LocalSnapshotterTest, ADriverThatCannotRebaseSaysSo) {
  ASSERT_THAT(Start({}, /*can_rebase=*/false), IsOk());
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(Prepare("key"), IsOk());
  EXPECT_THAT(Commit("top", "key", "base"), StatusIs(Code::kUnimplemented));
  EXPECT_THAT(Stat("key"), IsOk());
}

TEST_F(LocalSnapshotterTest, CommitFlushesTheTreeBeforeItIsRecordedUnlessToldNotTo) {
  std::vector<std::string> steps;
  const auto record = [&](const std::string& step, uint64_t) {
    if (step.starts_with("freeze")) {
      EXPECT_THAT(Stat("name"), StatusIs(Code::kNotFound));
      steps.push_back(step);
    }
    return absl::OkStatus();
  };
  driver_->SetHook(record);
  ASSERT_THAT(Layer("name"), IsOk());
  EXPECT_THAT(steps, ElementsAre("freeze durably"));
  ASSERT_THAT(Remove("name"), IsOk());
  ASSERT_THAT(Start({.durable_commit = false}), IsOk());
  driver_->SetHook(record);
  ASSERT_THAT(Layer("name"), IsOk());
  EXPECT_THAT(steps, ElementsAre("freeze durably", "freeze"));
}

TEST_F(LocalSnapshotterTest, AFailedFlushLeavesTheActiveSnapshot) {
  ASSERT_THAT(Prepare("key"), IsOk());
  driver_->SetHook([](const std::string& step, uint64_t) {
    return step.starts_with("freeze") ? Internal("EIO") : absl::OkStatus();
  });
  EXPECT_THAT(Commit("name", "key"), StatusIs(Code::kInternal));
  driver_->SetHook({});
  EXPECT_THAT(Commit("name", "key"), IsOk());
}

TEST_F(LocalSnapshotterTest, RemoveGoesLeafFirstAndForgetsTheLeaseEntry) {
  MakeLease("l");
  ASSERT_THAT(Layer("a"), IsOk());
  ASSERT_THAT(Layer("b", "a"), IsOk());
  ASSERT_THAT(Prepare("c", "b", {}, "l"), IsOk());
  ASSERT_THAT(View("d", "b"), IsOk());
  for (const std::string key : {"a", "b"}) {
    EXPECT_THAT(Remove(key),
                StatusIs(Code::kFailedPrecondition, "cannot remove snapshot with child"));
  }
  EXPECT_THAT(Remove("c", "l"), IsOk());
  EXPECT_THAT(Leased("l"), IsEmpty());
  for (const std::string key : {"d", "b", "a"}) {
    EXPECT_THAT(Remove(key), IsOk());
    EXPECT_THAT(Stat(key), StatusIs(Code::kNotFound));
  }
  EXPECT_THAT(Remove("a"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Keys(TableId::kSnapshotChildren), IsEmpty());
  EXPECT_THAT(Keys(TableId::kSnapshotBackends), IsEmpty());
}

TEST_F(LocalSnapshotterTest, DirectoriesLiveUntilCleanup) {
  ASSERT_THAT(Prepare("a"), IsOk());
  ASSERT_THAT(Prepare("b"), IsOk());
  ASSERT_THAT(Remove("a"), IsOk());
  EXPECT_THAT(Directories(), SizeIs(2));
  ASSERT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(Directories(), ElementsAre(Pair(2, State::kPublished)));
  EXPECT_THAT(Keys(TableId::kSnapshotTrash), IsEmpty());
}

TEST_F(LocalSnapshotterTest, WithSyncRemoveTheDirectoryGoesAtOnce) {
  ASSERT_THAT(Start({.sync_remove = true}), IsOk());
  ASSERT_THAT(Prepare("a"), IsOk());
  ASSERT_THAT(Remove("a"), IsOk());
  EXPECT_THAT(Directories(), IsEmpty());
  EXPECT_THAT(Keys(TableId::kSnapshotTrash), IsEmpty());
}

TEST_F(LocalSnapshotterTest, OneDirectoryThatCannotBeFreedDoesNotStopTheOthers) {
  for (const std::string key : {"a", "b", "c"}) {
    ASSERT_THAT(Prepare(key), IsOk());
    ASSERT_THAT(Remove(key), IsOk());
  }
  driver_->SetHook([](const std::string& step, uint64_t id) {
    return step == "discard" && id == 2 ? Internal("EBUSY") : absl::OkStatus();
  });
  EXPECT_THAT(Cleanup(), StatusIs(Code::kInternal));
  EXPECT_THAT(Directories(), ElementsAre(Pair(2, State::kPublished)));
  driver_->SetHook({});
  EXPECT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(Directories(), IsEmpty());
}

TEST_F(LocalSnapshotterTest, ADiscardIsOnDiskBeforeItsNumberIsForgotten) {
  ASSERT_THAT(Prepare("a"), IsOk());
  ASSERT_THAT(Remove("a"), IsOk());
  std::vector<std::string> steps;
  driver_->SetHook([&](const std::string& step, uint64_t) {
    steps.push_back(step + (Keys(TableId::kSnapshotTrash).empty() ? ", forgotten" : ""));
    return absl::OkStatus();
  });
  ASSERT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(steps, ElementsAre("discard", "sync"));
}

TEST_F(LocalSnapshotterTest, MountsAreThoseOfPrepareAndOfNothingCommitted) {
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(Layer("top", "base"), IsOk());
  const auto active = Prepare("active", "top");
  const auto view = View("view", "top");
  ASSERT_THAT(active, IsOk());
  EXPECT_EQ((*active)[0].options, (std::vector<std::string>{"2", "1"}));
  EXPECT_THAT(Mounts("active"), IsOkAndHolds(*active));
  EXPECT_THAT(Mounts("view"), IsOkAndHolds(*view));
  EXPECT_THAT(Mounts("base"), StatusIs(Code::kFailedPrecondition));
  EXPECT_THAT(Mounts("absent"), StatusIs(Code::kNotFound));
}

TEST_F(LocalSnapshotterTest, UsageIsMeasuredWhileActiveAndStoredAtCommit) {
  ASSERT_THAT(Prepare("key"), IsOk());
  EXPECT_THAT(UsageOf("key"), IsOkAndHolds(Usage{.size_bytes = 512, .inodes = 1}));
  ASSERT_THAT(Commit("name", "key"), IsOk());
  ASSERT_THAT(View("view", "name"), IsOk());
  driver_->SetHook([](const std::string& step, uint64_t) { return Internal("{}", step); });
  EXPECT_THAT(UsageOf("name"), IsOkAndHolds(Usage{.size_bytes = 4096, .inodes = 1}));
  EXPECT_THAT(UsageOf("view"), IsOkAndHolds(Usage{}));
  EXPECT_THAT(UsageOf("absent"), StatusIs(Code::kNotFound));
}

TEST_F(LocalSnapshotterTest, UpdateRefusesLabelsThatPrepareWould) {
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(Prepare("a", "base"), IsOk());
  const Labels bad = {{std::string(kUidMappingLabel), "0:0:0,upperdir=/etc"}};
  EXPECT_THAT(Update({.name = "a", .labels = bad}, {}), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Update({.name = "base", .labels = bad}, {}), IsOk()) << "it is never mounted";
  EXPECT_EQ(Stat("a")->labels, Labels());
}

TEST_F(LocalSnapshotterTest, OldBadLabelsDoNotBlockOtherUpdates) {
  const std::string map(kUidMappingLabel);
  // The driver of the time took it.
  ASSERT_THAT(Prepare("a", "", {{map, "bad"}}), IsOk());
  EXPECT_THAT(Update({.name = "a", .labels = {{"x", "1"}}}, {"labels.x"}), IsOk());
  EXPECT_THAT(Update({.name = "a", .labels = {{map, "worse"}}}, {"labels." + map}),
              StatusIs(Code::kInvalidArgument));
  EXPECT_EQ(Stat("a")->labels, (Labels{{map, "bad"}, {"x", "1"}}));
  EXPECT_THAT(Update({.name = "a"}, {"labels." + map}), IsOk());
  EXPECT_EQ(Stat("a")->labels, (Labels{{"x", "1"}}));
}

TEST_F(LocalSnapshotterTest, UpdateChangesLabelsAlone) {
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(Prepare("key", "base", {{"x", "1"}, {"y", "2"}}), IsOk());
  const absl::Time made = clock_.Now();
  clock_.Advance(absl::Seconds(1));
  const Info wanted{.name = "key", .parent = "other", .labels = {{"x", "3"}, {"z", "4"}}};
  EXPECT_THAT(Update(wanted, {"labels.x", "parent"}),
              StatusIs(Code::kInvalidArgument, HasSubstr("parent")));
  EXPECT_EQ(Stat("key")->labels, (Labels{{"x", "1"}, {"y", "2"}}));
  ASSERT_THAT(Update(wanted, {"labels.x", "labels.y"}), IsOk());
  const auto info = Stat("key");
  EXPECT_EQ(info->labels, (Labels{{"x", "3"}}));
  EXPECT_EQ(info->parent, "base");
  EXPECT_EQ(info->kind, Kind::kActive);
  EXPECT_EQ(info->created_at, made);
  EXPECT_EQ(info->updated_at, clock_.Now());
  EXPECT_EQ(Update(wanted, {})->labels, (Labels{{"x", "3"}, {"z", "4"}}));
  EXPECT_THAT(Update({.name = "absent"}, {}), StatusIs(Code::kNotFound));
  EXPECT_THAT(Update({}, {}), StatusIs(Code::kInvalidArgument));
}

TEST_F(LocalSnapshotterTest, ListPagesInKeyOrderAndMatches) {
  for (int i = 0; i < 25; ++i) ASSERT_THAT(Prepare(fmt::format("k{:02}", i)), IsOk());
  auto page = List({.limit = 10});
  ASSERT_THAT(page, IsOk());
  EXPECT_THAT(page->infos, SizeIs(10));
  EXPECT_EQ(page->next, "k09");
  page = List({.after = "k19", .limit = 10});
  EXPECT_THAT(page->infos, SizeIs(5));
  EXPECT_EQ(page->next, "");
  page = List({.match = [](const Info& info) { return info.name.ends_with("3"); }});
  EXPECT_THAT(page->infos, ElementsAre(Field(&Info::name, "k03"), Field(&Info::name, "k13"),
                                       Field(&Info::name, "k23")));
}

TEST_F(LocalSnapshotterTest, EventsFollowPrepareCommitAndRemoveOnly) {
  ASSERT_THAT(Prepare("key"), IsOk());
  ASSERT_THAT(Commit("name", "key"), IsOk());
  ASSERT_THAT(View("view", "name"), IsOk());
  ASSERT_THAT(Update({.name = "view"}, {}), IsOk());
  ASSERT_THAT(Remove("view"), IsOk());
  EXPECT_THAT(Prepare("name"), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(publisher_.Take(),
              ElementsAre("ns /snapshot/prepare", "ns /snapshot/commit", "ns /snapshot/remove"));
}

TEST_F(LocalSnapshotterTest, OfConcurrentPreparesOneWinsAndNothingIsLeft) {
  constexpr int kRacers = 8;
  for (int round = 0; round < 20; ++round) {
    const std::string key = fmt::format("k{}", round);
    std::vector<absl::Status> results(kRacers);
    {
      std::vector<std::jthread> racers;
      for (absl::Status& result : results)
        racers.emplace_back([&] { result = Prepare(key).status(); });
    }
    int won = 0;
    for (const absl::Status& result : results) {
      if (result.ok())
        ++won;
      else
        EXPECT_THAT(result, StatusIs(Code::kAlreadyExists));
    }
    EXPECT_EQ(won, 1);
  }
  EXPECT_THAT(Directories(), SizeIs(20));
}

TEST_F(LocalSnapshotterTest, AParentReplacedWhileTheDirectoryIsMadeIsNoticed) {
  ASSERT_THAT(Layer("base"), IsOk());
  driver_->SetHook([&](const std::string& step, uint64_t) {
    if (step != "prepare") return absl::OkStatus();
    driver_->SetHook({});
    EXPECT_THAT(Remove("base"), IsOk());
    EXPECT_THAT(Layer("base"), IsOk());
    return absl::OkStatus();
  });
  EXPECT_THAT(Prepare("key", "base"),
              StatusIs(Code::kInvalidArgument, StartsWith("mismatched parent")));
  driver_->SetHook([&](const std::string& step, uint64_t) {
    if (step != "prepare") return absl::OkStatus();
    driver_->SetHook({});
    EXPECT_THAT(Remove("base"), IsOk());
    return Internal("the lower directory is gone");
  });
  EXPECT_THAT(Prepare("key", "base"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Stat("key"), StatusIs(Code::kNotFound));
}

TEST_F(LocalSnapshotterTest, ASnapshotThatCannotBePublishedIsTakenBack) {
  driver_->SetHook([](const std::string& step, uint64_t) {
    return step == "publish" ? Internal("EIO") : absl::OkStatus();
  });
  EXPECT_THAT(Prepare("key"), StatusIs(Code::kInternal));
  EXPECT_THAT(Stat("key"), StatusIs(Code::kNotFound));
  driver_->SetHook({});
  EXPECT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(Directories(), IsEmpty());
  EXPECT_THAT(Prepare("key"), IsOk());
}

TEST_F(LocalSnapshotterTest, LongKeysAreKeysLikeAnyOther) {
  const std::string longest = std::string(600, 'k');
  ASSERT_THAT(Layer(longest + "1"), IsOk());
  ASSERT_THAT(Layer(longest + "2", longest + "1"), IsOk());
  EXPECT_EQ(Stat(longest + "2")->parent, longest + "1");
  EXPECT_THAT(Remove(longest + "1"), StatusIs(Code::kFailedPrecondition));
  EXPECT_THAT(List({})->infos, SizeIs(2));
  EXPECT_THAT(Remove(longest + "2"), IsOk());
  EXPECT_THAT(Remove(longest + "1"), IsOk());
}

TEST_F(LocalSnapshotterTest, ACancelledCallChangesNothing) {
  std::stop_source stop;
  stop.request_stop();
  Context ctx = Ctx();
  ctx.stop = stop.get_token();
  EXPECT_THAT(Await<mount::Mounts>(
                  [&](auto done) { snapshotter_->Prepare(ctx, {.key = "k"}, std::move(done)); }),
              StatusIs(Code::kCancelled));
  EXPECT_THAT(Directories(), IsEmpty());
}

}  // namespace
}  // namespace gantry::snapshots
