// SPDX-License-Identifier: Apache-2.0
#include "core/metadata/metadata.h"

#include <string>
#include <vector>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/db/key.h"
#include "core/metadata/field_mask.h"
#include "core/metadata/lease_link.h"
#include "gtest/gtest.h"

namespace gantry::metadata {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

Node Content(std::string key) { return {NodeType::kContent, "ns", std::move(key)}; }

TEST(LabelReferencesTest, SuffixesCountOnlyBehindADotOrSlash) {
  const LabelReferences references = ParseLabels("ns", {{"containerd.io/gc.ref.content", "a"},
                                                        {"containerd.io/gc.ref.content.x", "b"},
                                                        {"containerd.io/gc.ref.content/x", "c"},
                                                        {"containerd.io/gc.ref.contentx", "d"}});
  EXPECT_THAT(references.targets, UnorderedElementsAre(Content("a"), Content("b"), Content("c")));
}

TEST(LabelReferencesTest, SnapshotterNamesMayHaveDots) {
  const LabelReferences references =
      ParseLabels("ns", {{"containerd.io/gc.ref.snapshot.a.b/name", "k"},
                         {"containerd.io/gc.bref.snapshot.overlayfs", "/p/q"}});
  EXPECT_THAT(references.targets, ElementsAre(SnapshotNode("ns", "a.b", "k")));
  EXPECT_THAT(references.holders_of, ElementsAre(SnapshotNode("ns", "overlayfs", "/p/q")));
}

TEST(LabelReferencesTest, RootFlatAndExpiry) {
  LabelReferences references = ParseLabels("ns", {{"containerd.io/gc.root", "false"},
                                                  {"containerd.io/gc.flat", ""},
                                                  {"containerd.io/gc.expire", "x"}});
  EXPECT_TRUE(references.root);
  EXPECT_TRUE(references.flat);
  EXPECT_FALSE(references.expires.has_value());
  references = ParseLabels("ns", {{"containerd.io/gc.expire", "2026-01-02T03:04:05.5Z"}});
  ASSERT_TRUE(references.expires.has_value());
  EXPECT_EQ(absl::ToUnixMillis(*references.expires), 1767323045500);
}

TEST(LabelReferencesTest, ConditionsAreAnOrOverTheUsedAtLabel) {
  const absl::Time now = absl::FromUnixSeconds(1767323045);
  const Labels used = {
      {"containerd.io/gc.cond.value-usedat", "2026-01-02T02:34:05Z"}};  // 30 minutes ago
  EXPECT_TRUE(ConditionHolds("usedat<1h", used, now));
  EXPECT_FALSE(ConditionHolds("usedat<10m", used, now));
  EXPECT_TRUE(ConditionHolds("usedat<10m,usedat>20m", used, now));
  EXPECT_FALSE(ConditionHolds("usedat=30m,other<1h", used, now));
  EXPECT_FALSE(ConditionHolds("usedat<1h", {}, now));
}

TEST(FieldMaskTest, LabelPathsKeepDotsAndDeleteWhatIsMissing) {
  Labels labels = {{"a.b/c", "1"}, {"keep", "2"}};
  EXPECT_THAT(ApplyLabelsOnly({"labels.a.b/c"}, "content", {}, labels), IsOk());
  EXPECT_EQ(labels, (Labels{{"keep", "2"}}));
  EXPECT_THAT(ApplyLabelsOnly({"size"}, "content", {}, labels),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ApplyLabelsOnly({}, "content", {{"x", "y"}, {"empty", ""}}, labels), IsOk());
  EXPECT_EQ(labels, (Labels{{"x", "y"}}));
}

class MetadataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto metadata = Metadata::Open(
        {.db = {.path = dir_.path() / "db", .map_size_bytes = uint64_t{1} << 28}}, clock_);
    ASSERT_THAT(metadata, IsOk());
    metadata_ = *std::move(metadata);
  }

  std::vector<Node> Drain() {
    std::vector<Node> nodes;
    EXPECT_THAT(metadata_->Write({},
                                 [&](WriteTxn& txn) {
                                   nodes = metadata_->DrainBarrier(txn);
                                   return absl::OkStatus();
                                 }),
                IsOk());
    return nodes;
  }

  absl::Status Touch(std::string key) {
    return metadata_->Write({}, [&](WriteTxn& txn) {
      txn.Touch(Content(key));
      return absl::OkStatus();
    });
  }

  testing::TempDir dir_;
  base::FakeClock clock_;
  std::unique_ptr<Metadata> metadata_;
};

TEST_F(MetadataTest, TheBarrierLogsTouchedNodesOnlyWhileItIsUp) {
  ASSERT_THAT(Touch("before"), IsOk());
  ASSERT_THAT(metadata_->BeginBarrier({}), IsOk());
  ASSERT_THAT(Touch("during"), IsOk());
  EXPECT_THAT(Drain(), ElementsAre(Content("during")));
  EXPECT_THAT(Drain(), ElementsAre());
  ASSERT_THAT(metadata_->EndBarrier({}), IsOk());
  ASSERT_THAT(Touch("after"), IsOk());
  EXPECT_THAT(Drain(), ElementsAre());
}

TEST_F(MetadataTest, SequencesNeverGoBack) {
  const auto next = [&] {
    return metadata_->Write({}, [](WriteTxn& txn) { return txn.NextSequence("s"); });
  };
  EXPECT_THAT(next(), IsOkAndHolds(1U));
  EXPECT_THAT(next(), IsOkAndHolds(2U));
  metadata_.reset();
  SetUp();
  EXPECT_THAT(next(), IsOkAndHolds(3U));
}

TEST_F(MetadataTest, ANewerSchemaIsRefused) {
  ASSERT_THAT(
      metadata_->Write(
          {}, [](WriteTxn& txn) { return txn.Put(TableId::kMeta, "schema-version", "99"); }),
      IsOk());
  metadata_.reset();
  EXPECT_THAT(Metadata::Open({.db = {.path = dir_.path() / "db"}}, clock_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(MetadataTest, AttachingToAMissingLeaseIsNotFound) {
  const Context leased{.ns = "ns", .lease = "gone"};
  EXPECT_THAT(
      metadata_->Write(
          leased, [&](WriteTxn& txn) { return AddToLease(txn, leased, kContentResource, "d"); }),
      StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(metadata_->Write(leased,
                               [&](WriteTxn& txn) {
                                 return RemoveFromLease(txn, leased, kContentResource, "d");
                               }),
              IsOk());
}

TEST_F(MetadataTest, ObserversHearOfCommittedMutations) {
  std::vector<bool> dirty;
  metadata_->OnMutation([&](const Mutation& mutation) { dirty.push_back(mutation.dirty); });
  ASSERT_THAT(Touch("x"), IsOk());
  ASSERT_THAT(metadata_->Write({},
                               [](WriteTxn& txn) {
                                 txn.MarkDirty();
                                 return absl::OkStatus();
                               }),
              IsOk());
  EXPECT_THAT(metadata_->Write({}, [](WriteTxn&) { return Aborted("no"); }),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(dirty, ElementsAre(false, true));
}

}  // namespace
}  // namespace gantry::metadata
