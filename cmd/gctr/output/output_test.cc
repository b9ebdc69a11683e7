// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "cmd/gctr/output/message_json.h"
#include "cmd/gctr/output/metrics_table.h"
#include "cmd/gctr/output/table.h"
#include "cmd/gctr/output/units.h"
#include "core/base/testing/matchers.h"
#include "proto/cgroups/v1/metrics.pb.h"
#include "proto/events/task.pb.h"

namespace gantry::gctr {
namespace {

TEST(TableTest, ColumnsLineUp) {
  Table table({"KEY", "VALUE", ""}, 2);
  table.Add({"longer", "1", "x"});
  EXPECT_EQ(table.Format(), "KEY     VALUE  \nlonger  1      x\n");
}

TEST(TableTest, TabsReachTheNextColumn) {
  Table table({"DIGEST", "SIZE"}, 1, Table::Fill::kTabs);
  table.Add({"12345678", "1"});
  EXPECT_EQ(table.Format(), "DIGEST\t\tSIZE\n12345678\t1\n");
}

TEST(UnitsTest, SizesAreScaled) {
  EXPECT_EQ(BinarySize(0), "0.0 B");
  EXPECT_EQ(BinarySize(1536 * 1024), "1.5 MiB");
  EXPECT_EQ(DecimalSize(300'000), "300kB");
  EXPECT_EQ(DecimalSize(1'234'567), "1.235MB");
}

TEST(UnitsTest, AgesAreRounded) {
  EXPECT_EQ(Age(absl::Milliseconds(5)), "Less than a second");
  EXPECT_EQ(Age(absl::Seconds(42)), "42 seconds");
  EXPECT_EQ(Age(absl::Seconds(61)), "About a minute");
  EXPECT_EQ(Age(absl::Minutes(70)), "About an hour");
  EXPECT_EQ(Age(absl::Hours(50)), "2 days");
}

TEST(UnitsTest, PairsAreInKeyOrder) {
  EXPECT_EQ(JoinPairs(Labels{{"b", "2"}, {"a", "1"}}), "a=1,b=2");
  EXPECT_EQ(JoinPairs(Labels{}, "-"), "-");
}

TEST(MessageJsonTest, MessagesReadAsGoPrintsThem) {
  containerd::events::TaskExit exit;
  exit.set_container_id("c");
  exit.set_exit_status(137);
  exit.mutable_exited_at()->set_seconds(5'000'000'000);
  EXPECT_EQ(DumpJson(MessageJson(exit)),
            R"({"container_id":"c","exit_status":137,"exited_at":{"seconds":5000000000}})");
  EXPECT_EQ(AnyJson("containerd.events.TaskExit", exit.SerializeAsString()), MessageJson(exit));
  EXPECT_EQ(AnyJson("type.googleapis.com/containerd.events.TaskExit", exit.SerializeAsString()),
            MessageJson(exit));
}

TEST(MessageJsonTest, JsonBodiesComeOutAsTheyAre) {
  EXPECT_EQ(AnyJson("types.containerd.io/opencontainers/runtime-spec/1/Spec", R"({"a":[1]})"),
            Json::parse(R"({"a":[1]})"));
  EXPECT_EQ(AnyJson("unknown.Type", "bytes"), nullptr);
}

TEST(MessageJsonTest, BytesAreBase64) {
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64(std::string("\0\xff", 2)), "AP8=");
}

TEST(MetricsTest, BothCgroupVersionsAreShown) {
  io::containerd::cgroups::v1::Metrics metrics;
  metrics.mutable_memory()->mutable_usage()->set_usage(4096);
  metrics.mutable_cpu()->mutable_usage()->add_per_cpu(1);
  metrics.mutable_cpu()->mutable_usage()->add_per_cpu(2);
  const absl::StatusOr<MetricsView> view =
      MetricsView::Make("io.containerd.cgroups.v1.Metrics", metrics.SerializeAsString());
  ASSERT_THAT(view, testing::IsOk());
  EXPECT_EQ(view->json["memory"]["usage"]["usage"], 4096);
  EXPECT_THAT(view->table.Format(), ::testing::HasSubstr("[1 2]"));
  EXPECT_THAT(MetricsView::Make("x", ""), testing::StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gantry::gctr
