// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/gc.h"

#include "core/gc/collector.h"
#include "core/snapshots/intent.h"
#include "core/snapshots/testing/local_fixture.h"

namespace gantry::snapshots {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using metadata::TableId;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = absl::StatusCode;

// Leases as far as these tests need them: one that keeps the snapshots it is told to.
class LeaseStandIn final : public gc::Resource {
 public:
  std::vector<std::string> kept;
  std::function<void()> after_scan;

  metadata::NodeType type() const override { return metadata::NodeType::kLease; }
  absl::Status Scan(const metadata::View& view, absl::Time now,
                    absl::FunctionRef<absl::Status(gc::Object)> visit) override {
    ASSIGN_OR_RETURN(const auto lease, Load(view, now, {type(), "ns", "l"}));
    RETURN_IF_ERROR(visit(*lease));
    if (after_scan) after_scan();
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<gc::Object>> Load(const metadata::View&, absl::Time,
                                                 const metadata::Node& node) override {
    gc::Object lease{.node = node, .root = true, .collectible = false};
    for (const std::string& key : kept)
      lease.keeps.push_back(metadata::SnapshotNode("ns", "fake", key));
    return lease;
  }
  absl::Status Sweep(metadata::WriteTxn&, const metadata::Node&) override {
    return absl::OkStatus();
  }
};

class SnapshotGcTest : public LocalFixture {
 protected:
  absl::Status Collect() {
    SnapshotBackend backend(*snapshotter_);
    gc::Collector collector(*metadata_, {&snapshots_, &leases_}, {{"snapshots/fake", &backend}});
    return collector.Collect({}).status();
  }

  SnapshotResource snapshots_{publisher_};
  LeaseStandIn leases_;
};

TEST_F(SnapshotGcTest, KeepsWhatIsHeldWithItsParentsAndFreesTheRest) {
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(Layer("top", "base"), IsOk());
  ASSERT_THAT(Prepare("held", "top"), IsOk());
  ASSERT_THAT(Prepare("loose", "top"), IsOk());
  ASSERT_THAT(Prepare("rooted", "", {{"containerd.io/gc.root.x", "false"}}), IsOk());
  leases_.kept = {"held"};
  publisher_.Take();
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(Stat("loose"), StatusIs(Code::kNotFound));
  for (const std::string key : {"base", "top", "held", "rooted"}) EXPECT_THAT(Stat(key), IsOk());
  EXPECT_THAT(Directories(), SizeIs(4));
  EXPECT_THAT(publisher_.Take(), ElementsAre("ns /snapshot/remove"));
}

TEST_F(SnapshotGcTest, ACollectedChildNoLongerHoldsItsParent) {
  ASSERT_THAT(Layer("parent"), IsOk());
  ASSERT_THAT(Layer("child", "parent"), IsOk());
  leases_.kept = {"parent"};
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(Stat("child"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Remove("parent"), IsOk());
}

TEST_F(SnapshotGcTest, AChildMadeWhileTheMarkRunsKeepsItsParent) {
  ASSERT_THAT(Layer("parent"), IsOk());
  leases_.after_scan = [&] { ASSERT_THAT(Prepare("child", "parent"), IsOk()); };
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(Stat("child"), IsOk());
  EXPECT_THAT(Stat("parent"), IsOk());
  leases_.after_scan = {};
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(Stat("parent"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Directories(), IsEmpty());
}

TEST_F(SnapshotGcTest, WhatAStepUnderWayNamesIsKept) {
  ASSERT_THAT(Layer("parent"), IsOk());
  const Intent intent{.ns = "ns", .key = "new", .backend_key = "ns/9/new", .parent = "parent"};
  ASSERT_THAT(
      metadata_->Write({}, [&](metadata::WriteTxn& txn) { return PutIntent(txn, "fake", intent); }),
      IsOk());
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(Stat("parent"), IsOk());
  ASSERT_THAT(metadata_->Write(
                  {}, [&](metadata::WriteTxn& txn) { return DeleteIntent(txn, "fake", intent); }),
              IsOk());
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(Stat("parent"), StatusIs(Code::kNotFound));
}

TEST_F(SnapshotGcTest, AFailedCleanupIsTriedAgainByTheNextRun) {
  ASSERT_THAT(Prepare("a"), IsOk());
  ASSERT_THAT(Remove("a"), IsOk());
  driver_->SetHook([](const std::string& step, uint64_t) {
    return step == "discard" ? Internal("EBUSY") : absl::OkStatus();
  });
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(Keys(TableId::kSnapshotTrash), SizeIs(1));
  driver_->SetHook({});
  ASSERT_THAT(Collect(), IsOk());
  EXPECT_THAT(Directories(), IsEmpty());
}

}  // namespace
}  // namespace gantry::snapshots
