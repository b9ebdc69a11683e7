// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/proxy/proxy_snapshotter.h"

#include <atomic>
#include <string>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/gc/collector.h"
#include "core/snapshots/await.h"
#include "core/snapshots/gc.h"
#include "gtest/gtest.h"
#include "snapshotters/proxy/testing/proxy_fixture.h"

namespace gantry::proxy {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using metadata::TableId;
using snapshots::Await;
using snapshots::Info;
using snapshots::Kind;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using Code = absl::StatusCode;
using When = FakeBackend::When;
namespace pb = ::containerd::services::snapshots::v1;

const std::string kTarget(snapshots::kTargetLabel);

class ProxySnapshotterTest : public ProxyFixture {};

TEST_F(ProxySnapshotterTest, AWholeLife) {
  MakeLease("l");
  const auto mounts = Prepare(Ctx("l"), "key", "", {{"own", "1"}});
  ASSERT_THAT(mounts, IsOk());
  EXPECT_EQ((*mounts)[0].type, "fake");
  ASSERT_THAT(Commit(Ctx("l"), "base", "key", "", {{"b", "2"}}), IsOk());
  EXPECT_THAT(Leased("l"), ElementsAre("base"));
  ASSERT_THAT(Prepare("child", "base"), IsOk());
  EXPECT_THAT(
      Await<mount::Mounts>([&](auto done) { proxy_->Mounts(Ctx(), "child", std::move(done)); }),
      IsOk());
  EXPECT_THAT(
      Await<mount::Mounts>([&](auto done) { proxy_->Mounts(Ctx(), "base", std::move(done)); }),
      StatusIs(Code::kFailedPrecondition));
  EXPECT_THAT(
      Await<snapshots::Usage>([&](auto done) { proxy_->GetUsage(Ctx(), "base", std::move(done)); }),
      IsOkAndHolds(snapshots::Usage{.size_bytes = 4096, .inodes = 2}));
  const auto base = Stat("base");
  ASSERT_THAT(base, IsOk());
  EXPECT_EQ(base->kind, Kind::kCommitted);
  EXPECT_EQ(base->labels, (Labels{{"b", "2"}}));
  EXPECT_THAT(Remove("base"), StatusIs(Code::kFailedPrecondition));
  EXPECT_THAT(Remove("child"), IsOk());
  EXPECT_THAT(Remove("base"), IsOk());
  EXPECT_THAT(Stat("base"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Backend(), SizeIs(2));
  EXPECT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(Backend(), IsEmpty());
  EXPECT_THAT(Keys(TableId::kSnapshotIntents), IsEmpty());
  EXPECT_THAT(Keys(TableId::kSnapshotTrash), IsEmpty());
  EXPECT_THAT(publisher_.Take(),
              ElementsAre("ns /snapshot/prepare", "ns /snapshot/commit", "ns /snapshot/prepare",
                          "ns /snapshot/remove", "ns /snapshot/remove"));
}

TEST_F(ProxySnapshotterTest, OnlyInheritedLabelsAndTheNamespaceReachTheBackend) {
  MakeLease("l");
  const Labels labels = {{"plain", "1"},
                         {"containerd.io/gc.root", "2"},
                         {"containerd.io/snapshot/x", "3"},
                         {"containerd.io/snapshot.ref", "4"},
                         {"containerd.io/snapshot.other", "5"}};
  ASSERT_THAT(Prepare(Ctx("l"), "key", "", labels), IsOk());
  const auto calls = backend_->calls("Prepare");
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_EQ(calls[0].labels, (FakeBackend::Labels{{"containerd.io/snapshot/x", "3"},
                                                  {"containerd.io/snapshot.ref", "4"}}));
  EXPECT_EQ(calls[0].ns, "ns");
  EXPECT_FALSE(calls[0].has_lease);
  EXPECT_EQ(Stat("key")->labels, labels);
}

TEST_F(ProxySnapshotterTest, BackendKeysGrowAndAreNeverUsedAgain) {
  ASSERT_THAT(Prepare("a"), IsOk());
  ASSERT_THAT(Prepare("b/c d"), IsOk());
  ASSERT_THAT(Remove("a"), IsOk());
  ASSERT_THAT(Prepare("a"), IsOk());
  EXPECT_THAT(backend_->calls("Prepare"), ElementsAre(Field(&FakeBackend::Call::key, "ns/1/a"),
                                                      Field(&FakeBackend::Call::key, "ns/2/b/c d"),
                                                      Field(&FakeBackend::Call::key, "ns/3/a")));
}

TEST_F(ProxySnapshotterTest, WhatExistsIsLeasedAndTheBackendIsNotAsked) {
  MakeLease("l");
  ASSERT_THAT(Layer("target"), IsOk());
  ASSERT_THAT(Prepare("key"), IsOk());
  const size_t asked = backend_->calls("Prepare").size();
  EXPECT_THAT(Prepare(Ctx("l"), "key"), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(Prepare(Ctx("l"), "new", "", {{kTarget, "target"}}), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(Commit(Ctx("l"), "target", "key"), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(Leased("l"), ElementsAre("key", "target"));
  EXPECT_THAT(Prepare("new", "absent"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Prepare("new", "key"), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Prepare(Ctx("no lease"), "new"), StatusIs(Code::kNotFound));
  EXPECT_EQ(backend_->calls("Prepare").size(), asked);
}

TEST_F(ProxySnapshotterTest, ATargetThatTheBackendProvidesIsAdopted) {
  MakeLease("l");
  ASSERT_THAT(Layer("base"), IsOk());
  const std::string backend_base = Backend().at(0);
  backend_->Put("remote", {pb::COMMITTED, backend_base, {{kTarget, "target"}, {"hint", "theirs"}}});
  backend_->SetHook([](When when, const std::string& method, const std::string&) {
    return method == "Prepare" && when == When::kBefore ? AlreadyExists("provided")
                                                        : absl::OkStatus();
  });
  EXPECT_THAT(
      Prepare(Ctx("l"), "key", "base", {{kTarget, "target"}, {"own", "o"}, {"hint", "mine"}}),
      StatusIs(Code::kAlreadyExists, HasSubstr("target")));
  backend_->SetHook({});
  const auto info = Stat("target");
  ASSERT_THAT(info, IsOk());
  EXPECT_EQ(info->kind, Kind::kCommitted);
  EXPECT_EQ(info->parent, "base");
  EXPECT_EQ(info->labels, (Labels{{kTarget, "target"}, {"own", "o"}, {"hint", "mine"}}));
  EXPECT_EQ(absl::ToUnixSeconds(info->created_at), 1000);
  EXPECT_THAT(Stat("key"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Leased("l"), ElementsAre("target"));
  EXPECT_THAT(Keys(TableId::kSnapshotIntents), IsEmpty());
  EXPECT_THAT(Prepare("child", "target"), IsOk());
  EXPECT_EQ(backend_->snapshots().at("ns/4/child").parent, "remote");
}

TEST_F(ProxySnapshotterTest, AClaimWithoutProofIsNotAdopted) {
  // Of another parent, not committed, of another target.
  backend_->Put("a", {pb::COMMITTED, "other", {{kTarget, "target"}}});
  backend_->Put("b", {pb::ACTIVE, "", {{kTarget, "target"}}});
  backend_->Put("c", {pb::COMMITTED, "", {{kTarget, "other"}}});
  backend_->SetHook([](When, const std::string& method, const std::string&) {
    return method == "Prepare" ? AlreadyExists("so I say") : absl::OkStatus();
  });
  EXPECT_THAT(Prepare("key", "", {{kTarget, "target"}}), StatusIs(Code::kNotFound));
  EXPECT_THAT(Prepare("key"), StatusIs(Code::kUnknown, HasSubstr("so I say")));
  EXPECT_THAT(Keys(TableId::kSnapshots), IsEmpty());
  EXPECT_THAT(Keys(TableId::kSnapshotIntents), IsEmpty());
  EXPECT_THAT(Backend(), SizeIs(3));
}

TEST_F(ProxySnapshotterTest, AnAdoptedSnapshotLivesAsLongAsAnyNamespaceHasIt) {
  backend_->Put("remote", {pb::COMMITTED, "", {{kTarget, "target"}}});
  backend_->SetHook([](When, const std::string& method, const std::string&) {
    return method == "Prepare" ? AlreadyExists("provided") : absl::OkStatus();
  });
  for (const std::string ns : {"ns", "other"}) {
    EXPECT_THAT(Prepare(Ctx("", ns), "key", "", {{kTarget, "target"}}),
                StatusIs(Code::kAlreadyExists));
  }
  ASSERT_THAT(Remove("target"), IsOk());
  ASSERT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(Backend(), ElementsAre("remote"));
  ASSERT_THAT(Remove("target", Ctx("", "other")), IsOk());
  // Adopted once more before it is removed.
  EXPECT_THAT(Prepare("key", "", {{kTarget, "target"}}), StatusIs(Code::kAlreadyExists));
  ASSERT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(Backend(), ElementsAre("remote"));
  ASSERT_THAT(Remove("target"), IsOk());
  ASSERT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(Backend(), IsEmpty());
}

TEST_F(ProxySnapshotterTest, CommitWithAParentPassesTheBackendsKeyOfIt) {
  ASSERT_THAT(Layer("base"), IsOk());
  const std::string backend_base = Backend().at(0);
  ASSERT_THAT(Prepare("key"), IsOk());
  EXPECT_THAT(Commit("top", "key", "absent"), StatusIs(Code::kNotFound));
  ASSERT_THAT(Commit("top", "key", "base"), IsOk());
  EXPECT_EQ(backend_->calls("Commit").back().parent, backend_base);
  EXPECT_EQ(Stat("top")->parent, "base");
  EXPECT_THAT(Remove("base"), StatusIs(Code::kFailedPrecondition));
}

TEST_F(ProxySnapshotterTest, RefusalsComeThroughWithTheirCodeAndLeaveNothing) {
  ASSERT_THAT(Prepare("active"), IsOk());
  backend_->SetHook([](When when, const std::string&, const std::string&) {
    return when == When::kBefore ? PermissionDenied("no: permission denied") : absl::OkStatus();
  });
  EXPECT_THAT(Prepare("key"), StatusIs(Code::kPermissionDenied, HasSubstr("no")));
  EXPECT_THAT(Commit("name", "active"), StatusIs(Code::kPermissionDenied));
  EXPECT_THAT(Stat("active"), StatusIs(Code::kPermissionDenied));
  EXPECT_THAT(Keys(TableId::kSnapshotIntents), IsEmpty());
  backend_->SetHook({});
  EXPECT_THAT(Commit("name", "active"), IsOk());
}

TEST_F(ProxySnapshotterTest, OfConcurrentPreparesOneWinsAndTheOthersAreUndone) {
  constexpr int kRacers = 8;
  std::vector<absl::Status> results(kRacers);
  {
    std::vector<std::jthread> racers;
    for (absl::Status& result : results)
      racers.emplace_back([&] { result = Prepare("key").status(); });
  }
  int won = 0;
  for (const absl::Status& result : results) {
    if (result.ok()) {
      ++won;
    } else {
      EXPECT_THAT(result, StatusIs(Code::kAlreadyExists));
    }
  }
  EXPECT_EQ(won, 1);
  EXPECT_TRUE(AllSettled());
  EXPECT_THAT(Backend(), SizeIs(1));
}

TEST_F(ProxySnapshotterTest, ACommitAndARemovalOfOneKeyFollowEachOther) {
  ASSERT_THAT(Prepare("key"), IsOk());
  backend_->SetHook([this](When when, const std::string& method, const std::string&) {
    if (method == "Commit" && when == When::kBefore) backend_->Block();
    return absl::OkStatus();
  });
  std::atomic<int> answered = 0;
  proxy_->Commit(Ctx(), {.name = "name", .key = "key"}, [&](const absl::Status& committed) {
    EXPECT_THAT(committed, IsOk());
    ++answered;
  });
  backend_->WaitForHanging(1);
  proxy_->Remove(Ctx(), "key", [&](const absl::Status& removed) {
    EXPECT_THAT(removed, StatusIs(Code::kNotFound));
    ++answered;
  });
  proxy_->Prepare(Ctx(), {.key = "name"}, [&](const absl::StatusOr<mount::Mounts>& made) {
    EXPECT_THAT(made, StatusIs(Code::kAlreadyExists));
    ++answered;
  });
  EXPECT_THAT(Stat("key"), IsOk()) << "a question waits for no step under way";
  EXPECT_EQ(answered, 0);
  backend_->SetHook({});
  backend_->Unblock();
  EXPECT_TRUE(Eventually([&] { return answered == 3; }));
}

TEST_F(ProxySnapshotterTest, CleanupRemovesChildrenFirstAndGoesOnAfterAFailure) {
  ASSERT_THAT(Layer("a"), IsOk());
  ASSERT_THAT(Layer("b", "a"), IsOk());
  ASSERT_THAT(Prepare("c", "b"), IsOk());
  ASSERT_THAT(Prepare("bad"), IsOk());
  ASSERT_THAT(Prepare("last"), IsOk());
  for (const std::string key : {"c", "b", "a", "bad", "last"}) ASSERT_THAT(Remove(key), IsOk());
  backend_->SetHook([](When, const std::string& method, const std::string& key) {
    return method == "Remove" && key.ends_with("/bad") ? Internal("disk") : absl::OkStatus();
  });
  EXPECT_THAT(Cleanup(), StatusIs(Code::kInternal));
  EXPECT_THAT(Backend(), ElementsAre("ns/6/bad"));
  EXPECT_THAT(backend_->calls("Remove"), SizeIs(5)) << "no call was in vain";
  EXPECT_THAT(backend_->calls("Cleanup"), SizeIs(1));
  backend_->SetHook({});
  EXPECT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(Backend(), IsEmpty());
}

TEST_F(ProxySnapshotterTest, CleanupGivesUpOnABackendThatDoesNotAnswer) {
  for (int i = 0; i < 10; ++i) {
    const std::string key = std::to_string(i);
    ASSERT_THAT(Prepare(key), IsOk());
    ASSERT_THAT(Remove(key), IsOk());
  }
  Restart({.budgets = {.remove = absl::Milliseconds(30)}});
  backend_->SetHook([this](When when, const std::string& method, const std::string&) {
    if (method == "Remove" && when == When::kBefore) backend_->Block();
    return absl::OkStatus();
  });
  EXPECT_THAT(Cleanup(), StatusIs(Code::kDeadlineExceeded));
  EXPECT_LE(backend_->calls("Remove").size(), 3U);
  backend_->SetHook({});
  backend_->Unblock();
  Restart({});  // with time enough for each removal
  EXPECT_THAT(Cleanup(), IsOk());
  EXPECT_THAT(Keys(TableId::kSnapshotTrash), IsEmpty());
}

TEST_F(ProxySnapshotterTest, ListSkipsWhatTheBackendLostAndFillsItsPages) {
  for (int i = 0; i < 7; ++i) ASSERT_THAT(Prepare(fmt::format("k{}", i)), IsOk());
  backend_->Lose("ns/3/k2");
  auto page = List({.limit = 3});
  ASSERT_THAT(page, IsOk());
  EXPECT_THAT(page->infos, ElementsAre(Field(&Info::name, "k0"), Field(&Info::name, "k1"),
                                       Field(&Info::name, "k3")));
  page = List({.after = page->next, .limit = 3});
  EXPECT_THAT(page->infos, SizeIs(3));
  page = List({.limit = 2, .match = [](const Info& info) { return info.name > "k4"; }});
  EXPECT_THAT(page->infos, ElementsAre(Field(&Info::name, "k5"), Field(&Info::name, "k6")));
  EXPECT_THAT(List({.after = "k6"})->infos, IsEmpty());
}

TEST_F(ProxySnapshotterTest, UpdateReachesTheBackendWithInheritedLabels) {
  ASSERT_THAT(Prepare("key", "", {{"x", "1"}}), IsOk());
  const Info wanted{.name = "key", .labels = {{"x", "2"}, {"containerd.io/snapshot/n", "3"}}};
  const auto updated =
      Await<Info>([&](auto done) { proxy_->Update(Ctx(), wanted, {}, std::move(done)); });
  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->labels, wanted.labels);
  EXPECT_EQ(backend_->calls("Update").at(0).labels,
            (FakeBackend::Labels{{"containerd.io/snapshot/n", "3"}}));
  EXPECT_THAT(
      Await<Info>([&](auto done) { proxy_->Update(Ctx(), wanted, {"parent"}, std::move(done)); }),
      StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(backend_->calls("Update"), SizeIs(1));
}

TEST_F(ProxySnapshotterTest, ACollectionFreesWhatNobodyHolds) {
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(Prepare("rooted", "base", {{"containerd.io/gc.root", "x"}}), IsOk());
  ASSERT_THAT(Layer("loose", "base"), IsOk());
  snapshots::SnapshotResource resource(publisher_);
  snapshots::SnapshotBackend cleaner(*proxy_);
  gc::Collector collector(*metadata_, {&resource}, {{"snapshots/proxied", &cleaner}});
  ASSERT_THAT(collector.Collect({}), IsOk());
  EXPECT_THAT(backend_->snapshots(), UnorderedElementsAre(Key("ns/2/base"), Key("ns/3/rooted")));
}

}  // namespace
}  // namespace gantry::proxy
