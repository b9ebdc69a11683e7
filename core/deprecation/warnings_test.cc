// SPDX-License-Identifier: Apache-2.0
#include "core/deprecation/warnings.h"

#include "core/base/testing/fake_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::deprecation {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(WarningsTest, TheLastOccurrenceCounts) {
  base::FakeClock clock;
  Warnings warnings(clock);
  EXPECT_THAT(warnings.List(), IsEmpty());
  warnings.Emit(kEnableCdi);
  warnings.Emit(kCgroupV1);
  clock.Advance(absl::Seconds(5));
  warnings.Emit(kEnableCdi);
  const auto list = warnings.List();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].id, "io.containerd.deprecation/cgroup-v1");
  EXPECT_EQ(list[0].last_occurrence, clock.Now() - absl::Seconds(5));
  EXPECT_THAT(list[0].message, HasSubstr("cgroup v2"));
  EXPECT_EQ(list[1].id, kEnableCdi);
  EXPECT_EQ(list[1].last_occurrence, clock.Now());
}

TEST(WarningsTest, UnknownIdsAreIgnored) {
  const base::FakeClock clock;
  Warnings warnings(clock);
  warnings.Emit("io.containerd.deprecation/none");
  EXPECT_THAT(warnings.List(), IsEmpty());
}

}  // namespace
}  // namespace gantry::deprecation
