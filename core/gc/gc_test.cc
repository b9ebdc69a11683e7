// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/gc/collector.h"
#include "core/gc/marker.h"
#include "core/gc/scheduler.h"
#include "core/gc/sweep_order.h"
#include "gtest/gtest.h"

namespace gantry::gc {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using metadata::NodeType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

Node Content(std::string key, std::string ns = "ns") {
  return {NodeType::kContent, std::move(ns), std::move(key)};
}
Node Snapshot(std::string key) { return metadata::SnapshotNode("ns", "overlayfs", key); }

// Objects of one type held in memory, changed by tests while a collection runs. What is swept goes
// with the transaction, and not if that fails.
class FakeResource final : public Resource {
 public:
  explicit FakeResource(NodeType type) : type_(type) {}

  void Put(Object object) { objects_[object.node] = std::move(object); }
  std::function<void()> after_scan;
  // As if a client wanted all that is left once so many are gone.
  int touch_rest_after = 0;
  int fail_after = 0;
  size_t told = 0;

  NodeType type() const override { return type_; }
  absl::Status Scan(const metadata::View&, absl::Time,
                    absl::FunctionRef<absl::Status(Object)> visit) override {
    for (const auto& [node, object] : objects_) RETURN_IF_ERROR(visit(object));
    if (after_scan) after_scan();
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<Object>> Load(const metadata::View&, absl::Time,
                                             const Node& node) override {
    const auto found = objects_.find(node);
    if (found == objects_.end() || doomed_.contains(node)) return std::nullopt;
    return found->second;
  }
  absl::Status Sweep(metadata::WriteTxn& txn, const Node& node) override {
    if (++swept_ == fail_after) {
      doomed_.clear();
      return Internal("disk");
    }
    doomed_.insert(node);
    txn.AfterCommit([this, node] {
      objects_.erase(node);
      doomed_.erase(node);
    });
    if (swept_ == touch_rest_after) {
      for (const auto& [rest, object] : objects_) {
        if (!doomed_.contains(rest)) txn.Touch(rest);
      }
    }
    return absl::OkStatus();
  }

  void Swept(const std::vector<Node>& nodes) override { told += nodes.size(); }

  std::vector<std::string> Keys() const {
    std::vector<std::string> keys;
    for (const auto& [node, object] : objects_) keys.push_back(node.key);
    return keys;
  }

 private:
  const NodeType type_;
  std::map<Node, Object> objects_;
  std::set<Node> doomed_;  // swept by the transaction under way
  int swept_ = 0;
};

class CollectorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto metadata = metadata::Metadata::Open(
        {.db = {.path = dir_.path() / "db", .map_size_bytes = uint64_t{1} << 28}}, clock_);
    ASSERT_THAT(metadata, IsOk());
    metadata_ = *std::move(metadata);
  }

  absl::StatusOr<Collector::Result> Collect(std::map<std::string, Backend*> backends = {}) {
    Collector collector(*metadata_, {&content_, &snapshots_, &images_, &leases_},
                        std::move(backends));
    return collector.Collect({});
  }

  testing::TempDir dir_;
  base::FakeClock clock_;
  std::unique_ptr<metadata::Metadata> metadata_;
  FakeResource content_{NodeType::kContent};
  FakeResource snapshots_{NodeType::kSnapshot};
  FakeResource images_{NodeType::kImage};
  FakeResource leases_{NodeType::kLease};
};

Object Image(std::string name, std::string target) {
  return {.node = {NodeType::kImage, "ns", std::move(name)},
          .root = true,
          .keeps = {Content(std::move(target))}};
}

TEST_F(CollectorTest, KeepsWhatRootsReachAndRemovesTheRest) {
  images_.Put(Image("i", "manifest"));
  content_.Put(
      {.node = Content("manifest"), .labels = {{"containerd.io/gc.ref.content.l.0", "layer"}}});
  content_.Put({.node = Content("layer")});
  content_.Put({.node = Content("garbage")});
  content_.Put({.node = Content("layer", "other")});
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(content_.Keys(), ElementsAre("layer", "manifest"));
}

TEST_F(CollectorTest, ACycleWithoutRootGoes) {
  content_.Put({.node = Content("a"), .labels = {{"containerd.io/gc.ref.content", "b"}}});
  content_.Put({.node = Content("b"), .labels = {{"containerd.io/gc.ref.content", "a"}}});
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(content_.Keys(), ElementsAre());
}

TEST_F(CollectorTest, AChainOfTenThousandIsFollowed) {
  constexpr int kLength = 10'000;
  for (int i = 0; i < kLength; ++i) {
    content_.Put({.node = Content(std::to_string(i)),
                  .root = i == 0,
                  .labels = {{"containerd.io/gc.ref.content", std::to_string(i + 1)}}});
  }
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_EQ(content_.Keys().size(), kLength);
}

TEST_F(CollectorTest, AFlatLeaseKeepsOnlyItsMembersAndParentChains) {
  leases_.Put({.node = {NodeType::kLease, "ns", "l"},
               .root = true,
               .keeps = {Content("manifest"), Snapshot("child")},
               .keeps_flat = true});
  content_.Put(
      {.node = Content("manifest"), .labels = {{"containerd.io/gc.ref.content.l.0", "layer"}}});
  content_.Put({.node = Content("layer")});
  snapshots_.Put({.node = Snapshot("child"), .keeps = {Snapshot("parent")}});
  snapshots_.Put(
      {.node = Snapshot("parent"), .labels = {{"containerd.io/gc.ref.content", "layer"}}});
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(content_.Keys(), ElementsAre("manifest"));
  EXPECT_THAT(snapshots_.Keys(), ElementsAre("overlayfs/child", "overlayfs/parent"));
}

TEST_F(CollectorTest, APlainVisitExpandsWhatAFlatOneMarked) {
  leases_.Put({.node = {NodeType::kLease, "ns", "flat"},
               .root = true,
               .keeps = {Content("m")},
               .keeps_flat = true});
  images_.Put(Image("i", "m"));
  content_.Put({.node = Content("m"), .labels = {{"containerd.io/gc.ref.content", "layer"}}});
  content_.Put({.node = Content("layer")});
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(content_.Keys(), ElementsAre("layer", "m"));
}

TEST_F(CollectorTest, BackReferencesKeepTheirHolderAlongAChain) {
  images_.Put(Image("i", "m"));
  content_.Put({.node = Content("m")});
  snapshots_.Put({.node = Snapshot("s"), .labels = {{"containerd.io/gc.bref.content", "m"}}});
  content_.Put(
      {.node = Content("extra"), .labels = {{"containerd.io/gc.bref.snapshot.overlayfs", "s"}}});
  content_.Put({.node = Content("lost"), .labels = {{"containerd.io/gc.bref.content", "absent"}}});
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(content_.Keys(), ElementsAre("extra", "m"));
  EXPECT_THAT(snapshots_.Keys(), ElementsAre("overlayfs/s"));
}

TEST_F(CollectorTest, AConditionalReferenceKeepsARecentlyUsedSnapshot) {
  images_.Put(Image("i", "m"));
  content_.Put({.node = Content("m"),
                .labels = {{"containerd.io/gc.cond.snapshot.overlayfs/a", "usedat<1h|new"},
                           {"containerd.io/gc.cond.snapshot.overlayfs/b", "usedat<1h|old"}}});
  const auto used = [&](absl::Duration ago) {
    return absl::FormatTime(absl::RFC3339_full, clock_.Now() - ago, absl::UTCTimeZone());
  };
  snapshots_.Put({.node = Snapshot("new"),
                  .labels = {{"containerd.io/gc.cond.value-usedat", used(absl::Minutes(5))}}});
  snapshots_.Put({.node = Snapshot("old"),
                  .labels = {{"containerd.io/gc.cond.value-usedat", used(absl::Hours(5))}}});
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(snapshots_.Keys(), ElementsAre("overlayfs/new"));
}

TEST_F(CollectorTest, WhatIsTouchedDuringTheMarkSurvivesWithItsTree) {
  content_.Put(
      {.node = Content("manifest"), .labels = {{"containerd.io/gc.ref.content.l.0", "layer"}}});
  content_.Put({.node = Content("layer")});
  content_.Put({.node = Content("garbage")});
  // An image is created and a fresh blob arrives after the scan has read everything.
  leases_.after_scan = [&] {
    images_.Put(Image("late", "manifest"));
    content_.Put({.node = Content("fresh")});
    ASSERT_THAT(metadata_->Write({},
                                 [&](metadata::WriteTxn& txn) {
                                   txn.Touch({NodeType::kImage, "ns", "late"});
                                   txn.Touch(Content("fresh"));
                                   return absl::OkStatus();
                                 }),
                IsOk());
  };
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(content_.Keys(), ElementsAre("fresh", "layer", "manifest"));
}

TEST_F(CollectorTest, WhatIsTouchedDuringTheSweepStillHasWhatItNeeds) {
  constexpr int kPairs = 600;
  for (int i = 0; i < kPairs; ++i) {
    content_.Put({.node = Content("a" + std::to_string(i))});
    content_.Put({.node = Content("b" + std::to_string(i)),
                  .labels = {{"containerd.io/gc.ref.content", "a" + std::to_string(i)}}});
  }
  content_.touch_rest_after = 500;
  ASSERT_THAT(Collect(), IsOk());
  const std::vector<std::string> left = content_.Keys();
  ASSERT_EQ(left.size(), 2 * kPairs - 500);
  for (const std::string& key : left) {
    if (key[0] != 'b') continue;
    EXPECT_THAT(left, ::testing::Contains("a" + key.substr(1)));
  }
}

TEST(SweepOrderTest, HoldersComeBeforeWhatTheyKeepAndCirclesAreOneGroup) {
  const std::map<Node, std::vector<Node>> kept = {
      {Content("a"), {Content("b")}},
      {Content("b"), {Content("c"), Content("absent")}},
      {Content("c"), {Content("b"), Content("d")}},
      {Content("e"), {Content("a"), Content("d")}},
  };
  const auto order =
      SweepOrder({Content("a"), Content("b"), Content("c"), Content("d"), Content("e")},
                 [&](const Node& node) {
                   const auto found = kept.find(node);
                   return found == kept.end() ? std::vector<Node>() : found->second;
                 });
  EXPECT_THAT(order, ElementsAre(ElementsAre(Content("e")), ElementsAre(Content("a")),
                                 UnorderedElementsAre(Content("b"), Content("c")),
                                 ElementsAre(Content("d"))));
}

TEST_F(CollectorTest, WhatWasRemovedBeforeAFailureIsTold) {
  for (int i = 0; i < 600; ++i) content_.Put({.node = Content(std::to_string(i))});
  content_.fail_after = 550;
  EXPECT_THAT(Collect(), StatusIs(absl::StatusCode::kInternal));
  EXPECT_EQ(content_.told, 500);
  EXPECT_EQ(content_.Keys().size(), 100U) << "a transaction that failed removed something";
}

class FakeBackend final : public Backend {
 public:
  explicit FakeBackend(absl::Status result) : result_(std::move(result)) {}
  absl::Status CleanUp(const Context&) override {
    ++runs;
    return result_;
  }
  int runs = 0;

 private:
  const absl::Status result_;
};

TEST_F(CollectorTest, BackendsRunAtFirstThenOnlyWhenDirtyAndAgainAfterAFailure) {
  FakeBackend good(absl::OkStatus());
  FakeBackend bad(Internal("disk"));
  Collector collector(*metadata_, {&content_}, {{"content", &good}, {"snapshots/x", &bad}});
  ASSERT_THAT(collector.Collect({}), IsOk());
  ASSERT_THAT(collector.Collect({}), IsOk());
  EXPECT_EQ(good.runs, 1);
  EXPECT_EQ(bad.runs, 2);
  collector.NoteMutation({.dirty = true, .dirty_content = true});
  ASSERT_THAT(collector.Collect({}), IsOk());
  EXPECT_EQ(good.runs, 2);
}

// Hangs until told to go on, or to stop.
class HangingBackend final : public Backend {
 public:
  absl::Status CleanUp(const Context& ctx) override {
    base::MutexLock lock(mutex_);
    ++runs_;
    changed_.NotifyAll();
    while (hangs_ && ctx.Check().ok())
      changed_.WaitUntil(mutex_, absl::Now() + absl::Milliseconds(5));
    return ctx.Check();
  }
  absl::Duration patience() const override { return absl::Milliseconds(20); }
  void GoOn() {
    base::MutexLock lock(mutex_);
    hangs_ = false;
  }
  int runs() {
    base::MutexLock lock(mutex_);
    return runs_;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  bool hangs_ ABSL_GUARDED_BY(mutex_) = true;
  int runs_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_F(CollectorTest, ABackendThatHangsHoldsUpNobodyAndIsNotForgotten) {
  HangingBackend hanging;
  FakeBackend good(absl::OkStatus());
  Collector collector(*metadata_, {&content_}, {{"content", &good}, {"snapshots/x", &hanging}});
  auto first = collector.Collect({});
  ASSERT_THAT(first, IsOk());
  EXPECT_FALSE(first->cleaned);
  EXPECT_EQ(good.runs, 1);
  // While it is busy, it is not run a second time, but what becomes dirty stays so.
  collector.NoteMutation({.dirty = true, .dirty_snapshotters = {"x"}});
  const absl::Time start = absl::Now();
  EXPECT_FALSE(collector.Collect({})->cleaned);
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_EQ(hanging.runs(), 1);
  hanging.GoOn();
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (hanging.runs() < 2 && absl::Now() < deadline) ASSERT_THAT(collector.Collect({}), IsOk());
  EXPECT_EQ(hanging.runs(), 2);
  EXPECT_TRUE(collector.Collect({})->cleaned);
}

TEST_F(CollectorTest, TheEndOfACollectorStopsABackendThatHangs) {
  HangingBackend hanging;
  Collector collector(*metadata_, {&content_}, {{"content", &hanging}});
  EXPECT_FALSE(collector.Collect({})->cleaned);
}

TEST_F(CollectorTest, TheNextExpiryIsTheEarliestOfTheRoots) {
  const absl::Time soon = clock_.Now() + absl::Minutes(1);
  leases_.Put(
      {.node = {NodeType::kLease, "ns", "a"}, .root = true, .root_until = soon + absl::Hours(1)});
  leases_.Put({.node = {NodeType::kLease, "ns", "b"}, .root = true, .root_until = soon});
  const auto result = Collect();
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->next_expiry, soon);
}

// Counts runs and lets a test hold one.
class SchedulerTest : public ::testing::Test {
 protected:
  Scheduler::Run Counting(absl::Status status = absl::OkStatus()) {
    return [this, status](const Context&) -> absl::StatusOr<Collector::Result> {
      base::MutexLock lock(mutex_);
      ++runs_;
      changed_.NotifyAll();
      while (held_) changed_.Wait(mutex_);
      if (!status.ok()) return status;
      return Collector::Result{};
    };
  }

  bool WaitForRuns(int count, absl::Duration limit = absl::Seconds(10)) {
    base::MutexLock lock(mutex_);
    const absl::Time deadline = absl::Now() + limit;
    while (runs_ < count && absl::Now() < deadline) changed_.WaitUntil(mutex_, deadline);
    return runs_ >= count;
  }

  absl::Status CollectAndWait(Scheduler& scheduler) {
    std::optional<absl::Status> outcome;
    scheduler.Collect([&](absl::Status status) {
      base::MutexLock lock(mutex_);
      outcome = std::move(status);
      changed_.NotifyAll();
    });
    base::MutexLock lock(mutex_);
    while (!outcome) changed_.Wait(mutex_);
    return *outcome;
  }

  void Hold(bool held) {
    base::MutexLock lock(mutex_);
    held_ = held;
    changed_.NotifyAll();
  }
  int runs() {
    base::MutexLock lock(mutex_);
    return runs_;
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  int runs_ ABSL_GUARDED_BY(mutex_) = 0;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST_F(SchedulerTest, WhatABackendDidNotFinishIsTriedAgain) {
  Scheduler scheduler(
      {.startup_delay = absl::Milliseconds(1), .retry_delay = absl::Milliseconds(10)},
      [this](const Context&) -> absl::StatusOr<Collector::Result> {
        base::MutexLock lock(mutex_);
        ++runs_;
        changed_.NotifyAll();
        return Collector::Result{.cleaned = runs_ >= 3};
      });
  EXPECT_TRUE(WaitForRuns(3));
  EXPECT_FALSE(WaitForRuns(4, absl::Milliseconds(100)));
}

TEST_F(SchedulerTest, RunsOnceAfterStartUnlessToldNotTo) {
  {
    Scheduler scheduler({.startup_delay = absl::Milliseconds(1)}, Counting());
    EXPECT_TRUE(WaitForRuns(1));
  }
  Scheduler quiet({.startup_delay = absl::ZeroDuration()}, Counting());
  EXPECT_FALSE(WaitForRuns(2, absl::Milliseconds(50)));
}

TEST_F(SchedulerTest, ADeletionIsCollectedSoon) {
  Scheduler scheduler({.startup_delay = absl::ZeroDuration()}, Counting());
  scheduler.NoteMutation({.dirty = true});
  EXPECT_TRUE(WaitForRuns(1));
}

TEST_F(SchedulerTest, WhatExpiresIsCollectedThenWithoutAnyOtherWrite) {
  Scheduler scheduler({.startup_delay = absl::ZeroDuration()}, Counting());
  scheduler.NoteMutation({.earliest_expiry = absl::Now() + absl::Milliseconds(100)});
  EXPECT_FALSE(WaitForRuns(1, absl::Milliseconds(30)));
  EXPECT_TRUE(WaitForRuns(1));
}

TEST_F(SchedulerTest, AnExpiryInTheFarFutureHoldsNobodyUp) {
  Scheduler scheduler({.startup_delay = absl::ZeroDuration()}, Counting());
  scheduler.NoteMutation(
      {.earliest_expiry = absl::FromCivil(absl::CivilYear(9999), absl::UTCTimeZone())});
  EXPECT_FALSE(WaitForRuns(1, absl::Milliseconds(30)));
  scheduler.NoteMutation({.dirty = true});
  EXPECT_TRUE(WaitForRuns(1));
}

TEST_F(SchedulerTest, ADeletionDuringARunWaitsForThePauseAfterIt) {
  Scheduler scheduler({.pause_threshold = 0, .startup_delay = absl::ZeroDuration()}, Counting());
  Hold(true);
  scheduler.NoteMutation({.dirty = true});
  EXPECT_TRUE(WaitForRuns(1));
  scheduler.NoteMutation({.dirty = true});
  Hold(false);
  EXPECT_FALSE(WaitForRuns(2, absl::Milliseconds(300)));
  EXPECT_TRUE(WaitForRuns(2));
}

TEST_F(SchedulerTest, AHundredMutationsAreWorthARunAndFewerAreNot) {
  Scheduler scheduler({.startup_delay = absl::ZeroDuration()}, Counting());
  for (int i = 0; i < 99; ++i) scheduler.NoteMutation({});
  EXPECT_FALSE(WaitForRuns(1, absl::Milliseconds(50)));
  scheduler.NoteMutation({});
  EXPECT_TRUE(WaitForRuns(1));
}

TEST_F(SchedulerTest, TheCollectorsOwnWritesCountForNothing) {
  Scheduler scheduler({.startup_delay = absl::ZeroDuration()}, Counting());
  for (int i = 0; i < 200; ++i) scheduler.NoteMutation({.dirty = true, .by_collector = true});
  EXPECT_FALSE(WaitForRuns(1, absl::Milliseconds(50)));
}

TEST_F(SchedulerTest, ARequestDuringARunWaitsForALaterOne) {
  Hold(true);
  Scheduler scheduler({.startup_delay = absl::Milliseconds(1)}, Counting());
  ASSERT_TRUE(WaitForRuns(1));
  std::thread release([&] { Hold(false); });
  EXPECT_THAT(CollectAndWait(scheduler), IsOk());
  release.join();
  EXPECT_GE(runs(), 2);
}

TEST_F(SchedulerTest, AFailureReachesTheWaiters) {
  Scheduler scheduler({.startup_delay = absl::ZeroDuration()}, Counting(Internal("disk")));
  EXPECT_THAT(CollectAndWait(scheduler),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("gc failed")));
  EXPECT_EQ(scheduler.stats().failed, 1U);
}

}  // namespace
}  // namespace gantry::gc
