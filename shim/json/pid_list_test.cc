// SPDX-License-Identifier: Apache-2.0
#include "shim/json/pid_list.h"

#include <gmock/gmock.h>

#include "core/kernel/testing/matchers.h"

namespace gantry::shim {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PidListTest, PidsAreReadInOrder) {
  const auto pids = ParsePidList("[\n  17,\n  4194304 , 1]\n");
  ASSERT_THAT(pids, Succeeds());
  EXPECT_THAT(*pids, ElementsAre(17, 4194304, 1));
}

TEST(PidListTest, NoProcessesAreAnEmptyArrayOrNull) {
  for (const char* text : {"[]", "null", " null\n"}) {
    const auto pids = ParsePidList(text);
    ASSERT_THAT(pids, Succeeds()) << text;
    EXPECT_THAT(*pids, IsEmpty());
  }
}

TEST(PidListTest, AnythingElseIsRefused) {
  for (const char* text : {"", "{}", "17", "[17", "[17,]", "[\"17\"]", "[0]", "[-1]", "[1.5]",
                           "[2147483648]", "[1] x", "[[1]]", "nulls"}) {
    EXPECT_THAT(ParsePidList(text), FailsWith(EINVAL)) << text;
  }
}

}  // namespace
}  // namespace gantry::shim
