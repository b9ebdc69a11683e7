// SPDX-License-Identifier: Apache-2.0
#include "core/json/json.h"

#include <gmock/gmock.h>

#include "core/base/testing/matchers.h"

namespace gantry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using testing::StatusIs;

TEST(JsonTest, WhatIsNoJsonIsRefusedByName) {
  EXPECT_THAT(ParseJson("{", "index.json"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("index.json")));
  EXPECT_THAT(ParseJson("", "x"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseJson("{} {}", "x"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(JsonTest, DepthIsLimitedWhateverStandsInStrings) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_THAT(ParseJson(nested(kMaxJsonDepth), "x"), testing::IsOk());
  EXPECT_THAT(ParseJson(nested(kMaxJsonDepth + 1), "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nested")));
  EXPECT_THAT(ParseJson(nested(200'000), "x"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseJson("\"" + std::string(500, '[') + "\\\"[\"", "x"), testing::IsOk());
}

TEST(JsonTest, MembersOfAnotherTypeReadAsEmpty) {
  const Json value = Json::parse(R"({"s":1,"n":"2","a":[1,"x",null],"m":{"k":"v","n":3},"b":0})");
  EXPECT_EQ(StringMember(value, "s"), "");
  EXPECT_EQ(IntMember(value, "n"), 0);
  EXPECT_FALSE(BoolMember(value, "b"));
  EXPECT_THAT(StringsMember(value, "a"), ElementsAre("x"));
  EXPECT_THAT(StringMapMember(value, "m"), ElementsAre(Pair("k", "v")));
  EXPECT_EQ(Member(Json::array(), "s"), nullptr);
}

TEST(JsonTest, BytesThatAreNoUtf8AreReplacedInOutput) {
  EXPECT_EQ(DumpJson(Json("a\xff")), "\"a\xef\xbf\xbd\"");
}

TEST(JsonTest, MembersAreMadeWhereTheyLack) {
  Json value;
  ArrayMember(ObjectMember(value, "process"), "args").push_back("sh");
  EXPECT_EQ(DumpJson(value), R"({"process":{"args":["sh"]}})");
}

}  // namespace
}  // namespace gantry
