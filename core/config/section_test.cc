// SPDX-License-Identifier: Apache-2.0
#include "core/config/section.h"

#include <string>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/config/toml.h"
#include "gtest/gtest.h"

namespace gantry::config {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

Section Parse(const std::string& text) {
  absl::StatusOr<Table> table = ParseToml(text, "f");
  EXPECT_THAT(table, IsOk());
  return Section("p", *std::move(table));
}

std::vector<std::string> Unknown(const Section& section) {
  std::vector<std::string> keys;
  for (const UnknownKey& unknown : section.UnknownKeys()) {
    keys.push_back(unknown.key + "@" + unknown.position.ToString());
  }
  return keys;
}

TEST(SectionTest, GivesValuesOrDefaults) {
  Section section = Parse(R"(
    text = 'x'
    number = 7
    ratio = 2
    flag = true
    wait = '1m30s'
    list = ['a', 'b']
    numbers = [1, 2]
    map = {k = 'v'}
  )");
  EXPECT_THAT(section.Get<std::string>("text", "d"), IsOkAndHolds("x"));
  EXPECT_THAT(section.Get<std::string>("other", "d"), IsOkAndHolds("d"));
  EXPECT_THAT(section.Get<uint16_t>("number", 1), IsOkAndHolds(7));
  EXPECT_THAT(section.Get("ratio", 0.5), IsOkAndHolds(2.0));
  EXPECT_THAT(section.Get("flag", false), IsOkAndHolds(true));
  EXPECT_THAT(section.Get("wait", absl::Seconds(1)), IsOkAndHolds(absl::Seconds(90)));
  EXPECT_THAT(section.Get<std::vector<std::string>>("list", {}),
              IsOkAndHolds(ElementsAre("a", "b")));
  EXPECT_THAT(section.Get<std::vector<int64_t>>("numbers", {}), IsOkAndHolds(ElementsAre(1, 2)));
  EXPECT_THAT((section.Get<std::map<std::string, std::string>>("map", {})),
              IsOkAndHolds(ElementsAre(Pair("k", "v"))));
  EXPECT_TRUE(Unknown(section).empty());
}

TEST(SectionTest, WrongTypesNameKeyAndPlace) {
  Section section = Parse("a = 1\nb = 'x'\nc = 70000\nd = -1\ne = ['x', 2]\nf = '5 minutes'\n");
  const auto refused = [](const std::string& text) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text));
  };
  EXPECT_THAT(section.Get<std::string>("a", ""),
              refused("configuration p.a (f:1:1): want string, have integer"));
  EXPECT_THAT(section.Get("b", 0), refused("p.b (f:2:1): want integer, have string"));
  EXPECT_THAT(section.Get("b", false), refused("want boolean"));
  EXPECT_THAT(section.Get("b", 0.5), refused("want number"));
  EXPECT_THAT(section.Get<uint16_t>("c", 0), refused("70000 is out of range"));
  EXPECT_THAT(section.Get<uint32_t>("d", 0), refused("-1 is out of range"));
  EXPECT_THAT(section.Get<std::vector<std::string>>("e", {}), refused("want string"));
  EXPECT_THAT(section.Get("f", absl::Seconds(1)), refused("\"5 minutes\" is no duration"));
  EXPECT_THAT(section.Get("a", absl::Seconds(1)), refused("want string such as"));
  EXPECT_THAT(section.Child("a"), refused("want table"));
  EXPECT_THAT(section.Items("a"), refused("want list of tables"));
}

TEST(SectionTest, KeysThatNobodyReadsAreUnknown) {
  Section section = Parse(R"(read = 1
misspelt = 2
[child]
read = 1
extra = 2
[unread]
x = 1
[runtimes.a]
path = 'p'
odd = 1
[[rules]]
name = 'n'
rest = 1
)");
  EXPECT_THAT(section.Get("read", 0), IsOk());
  absl::StatusOr<Section*> child = section.Child("child");
  ASSERT_THAT(child, IsOk());
  EXPECT_THAT((*child)->Get("read", 0), IsOk());
  const auto runtimes = section.Children("runtimes");
  ASSERT_THAT(runtimes, IsOk());
  ASSERT_EQ(runtimes->size(), 1u);
  EXPECT_EQ(runtimes->at(0).first, "a");
  EXPECT_THAT(runtimes->at(0).second->Get<std::string>("path", ""), IsOkAndHolds("p"));
  const auto rules = section.Items("rules");
  ASSERT_THAT(rules, IsOk());
  ASSERT_EQ(rules->size(), 1u);
  EXPECT_THAT(rules->at(0)->Get<std::string>("name", ""), IsOkAndHolds("n"));
  EXPECT_THAT(Unknown(section),
              ElementsAre("p.misspelt@f:2:1", "p.unread@f:6:2", "p.child.extra@f:5:1",
                          "p.runtimes.a.odd@f:10:1", "p.rules[0].rest@f:13:1"));
}

TEST(SectionTest, EffectiveHoldsDefaultsAndLeavesOutWhatNobodyReads) {
  Section section = Parse("b = 2\nodd = 1\n[child]\nx = 'y'\n");
  EXPECT_THAT(section.Get("a", absl::Seconds(60)), IsOk());
  EXPECT_THAT(section.Get("b", 1), IsOk());
  const auto child = section.Child("child");
  ASSERT_THAT(child, IsOk());
  EXPECT_THAT((*child)->Get<std::string>("x", ""), IsOk());
  EXPECT_THAT((*child)->Get<std::string>("z", "d"), IsOk());
  EXPECT_EQ(Value(section.Effective()),
            Value(Table{{"a", "1m0s"}, {"b", 2}, {"child", Table{{"x", "y"}, {"z", "d"}}}}));
}

TEST(SectionTest, SetWinsOverTheFile) {
  Section section = Parse("address = '/a'\n");
  section.Set("address", "/b");
  EXPECT_THAT(section.Get<std::string>("address", ""), IsOkAndHolds("/b"));
}

}  // namespace
}  // namespace gantry::config
