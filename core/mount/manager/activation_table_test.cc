// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/activation_table.h"

#include <string>
#include <vector>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/gc/collector.h"
#include "core/leases/lease_resource.h"
#include "core/leases/lease_store.h"
#include "core/mount/manager/activation_resource.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::mount {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = absl::StatusCode;

class ActivationTableTest : public ::testing::Test {
 protected:
  ActivationTableTest()
      : metadata_(*metadata::Metadata::Open(
            {.db = {.path = dir_.path() / "db", .map_size_bytes = 16 << 20, .no_sync = true}},
            clock_)) {}

  static ActivationInfo InfoOf(const std::string& name) {
    return {.name = name,
            .active = {{.mount = {"erofs", "/image", "below", {"loop"}},
                        .mount_point = "/t/1/1",
                        .mounted_at = absl::FromUnixSeconds(7),
                        .data = {{"device", "/dev/loop7"}}}},
            .system = {{"overlay", "overlay", "", {"lowerdir=/t/1/1"}}},
            .labels = {{"k", "v"}}};
  }

  uint64_t Make(const Context& ctx, const std::string& name, const Labels& labels = {}) {
    const auto begun = table_.Begin(ctx, name, labels);
    EXPECT_THAT(begun, IsOk());
    ActivationInfo info = InfoOf(name);
    info.labels = labels;
    EXPECT_THAT(table_.Complete(ctx, begun->id, info), IsOk());
    return begun->id;
  }

  std::vector<std::string> Names(std::string_view ns) {
    std::vector<std::string> names;
    EXPECT_THAT(table_.ForEach(ctx_, ns,
                               [&](const ActivationRecord& record) {
                                 names.push_back(record.info.name);
                                 return absl::OkStatus();
                               }),
                IsOk());
    return names;
  }

  void Collect() {
    gc::Collector collector(*metadata_, {&mounts_, &lease_objects_}, {});
    ASSERT_THAT(collector.Collect({}), IsOk());
  }

  testing::TempDir dir_;
  base::FakeClock clock_;
  std::unique_ptr<metadata::Metadata> metadata_;
  ActivationTable table_{*metadata_};
  int swept_ = 0;
  ActivationResource mounts_{[this] { ++swept_; }};
  leases::LeaseResource lease_objects_;
  leases::LeaseStore leases_{*metadata_};
  const Context ctx_{.ns = "ns", .lease = "", .stop = {}};
};

TEST_F(ActivationTableTest, ARecordComesBackAsItWasStored) {
  const auto begun = table_.Begin(ctx_, "name", {{"k", "v"}});
  ASSERT_THAT(begun, IsOk());
  auto record = table_.Get(ctx_, "name");
  ASSERT_THAT(record, IsOk());
  EXPECT_FALSE(record->complete);
  ASSERT_THAT(table_.Complete(ctx_, begun->id, InfoOf("name")), IsOk());
  record = table_.Get(ctx_, "name");
  ASSERT_THAT(record, IsOk());
  EXPECT_TRUE(record->complete);
  EXPECT_EQ(record->id, begun->id);
  ASSERT_THAT(record->info.active, SizeIs(1));
  const ActiveMount& active = record->info.active[0];
  const ActiveMount want = InfoOf("name").active[0];
  EXPECT_EQ(active.mount, want.mount);
  EXPECT_EQ(active.mount_point, want.mount_point);
  EXPECT_EQ(active.mounted_at, want.mounted_at);
  EXPECT_EQ(active.data, want.data);
  EXPECT_EQ(record->info.system, InfoOf("name").system);
  EXPECT_EQ(record->info.labels, InfoOf("name").labels);
}

TEST_F(ActivationTableTest, AFinishedNameIsTakenAndAnUnfinishedOneIsReplaced) {
  const auto first = table_.Begin(ctx_, "name", {});
  ASSERT_THAT(first, IsOk());
  const auto second = table_.Begin(ctx_, "name", {});
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->replaced, first->id);
  EXPECT_GT(second->id, first->id);
  EXPECT_THAT(table_.Complete(ctx_, first->id, InfoOf("name")), StatusIs(Code::kNotFound));
  ASSERT_THAT(table_.Complete(ctx_, second->id, InfoOf("name")), IsOk());
  EXPECT_THAT(table_.Begin(ctx_, "name", {}), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(table_.Begin(ctx_.InNamespace("other"), "name", {}), IsOk());

  const auto removed = table_.Remove(ctx_, "name");
  ASSERT_THAT(removed, IsOk());
  EXPECT_EQ(removed->id, second->id);
  EXPECT_THAT(table_.Remove(ctx_, "name"), StatusIs(Code::kNotFound));
  EXPECT_THAT(table_.Get(ctx_, "name"), StatusIs(Code::kNotFound));
}

TEST_F(ActivationTableTest, NoIdIsGivenTwice) {
  const uint64_t first = Make(ctx_, "name");
  ASSERT_THAT(table_.Remove(ctx_, "name"), IsOk());
  EXPECT_GT(Make(ctx_, "name"), first);
}

TEST_F(ActivationTableTest, ListsGoOverPagesAndNamespaces) {
  for (int i = 0; i < 250; ++i) Make(ctx_, fmt::format("{:03}", i));
  Make(ctx_.InNamespace("other"), "x");
  EXPECT_THAT(Names("ns"), SizeIs(250));
  EXPECT_THAT(Names(""), SizeIs(251));
  EXPECT_THAT(Names("other"), ElementsAre("x"));
  EXPECT_THAT(Names("n"), IsEmpty());
}

TEST_F(ActivationTableTest, NamesAndLeasesThatCannotBeAreRefused) {
  EXPECT_THAT(table_.Begin(ctx_, std::string("a\0b", 3), {}), StatusIs(Code::kInvalidArgument));
  Context leased = ctx_;
  leased.lease = "absent";
  EXPECT_THAT(table_.Begin(leased, "name", {}), StatusIs(Code::kNotFound));
  EXPECT_THAT(Names(""), IsEmpty());
}

TEST_F(ActivationTableTest, ACollectionTakesWhatNothingHolds) {
  ASSERT_THAT(leases_.Create(ctx_, {.id = "lease", .labels = {}, .created_at = {}}), IsOk());
  Context leased = ctx_;
  leased.lease = "lease";
  Make(leased, "leased");
  Make(ctx_, "bare");
  Make(ctx_, "dangling", {{"containerd.io/gc.bref.container", "absent"}});
  // No root label makes one live.
  Make(ctx_, "root", {{"containerd.io/gc.root", "x"}});
  ASSERT_THAT(table_.Begin(ctx_, "under way", {}), IsOk());
  Collect();
  EXPECT_THAT(Names("ns"), ElementsAre("leased", "under way"));
  EXPECT_EQ(swept_, 1);
  ASSERT_THAT(leases_.Delete(ctx_, "lease"), IsOk());
  Collect();
  EXPECT_THAT(Names("ns"), ElementsAre("under way"));
}

TEST_F(ActivationTableTest, ALeaseThatNamesAMountKeepsIt) {
  ASSERT_THAT(leases_.Create(ctx_, {.id = "lease",
                                    .labels = {{"containerd.io/gc.ref.mount/x", "named"}},
                                    .created_at = {}}),
              IsOk());
  Make(ctx_, "named");
  Make(ctx_.InNamespace("other"), "named");
  Collect();
  EXPECT_THAT(Names("ns"), ElementsAre("named"));
  EXPECT_THAT(Names("other"), IsEmpty()) << "references stay in their namespace";
}

}  // namespace
}  // namespace gantry::mount
