// SPDX-License-Identifier: Apache-2.0
#include "core/config/toml.h"

#include <random>
#include <string>

#include "core/base/testing/matchers.h"
#include "core/config/duration.h"
#include "gtest/gtest.h"

namespace gantry::config {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;

TEST(TomlTest, ValuesKnowWhereTheyStand) {
  const auto tree = ParseToml("root = '/x'\n[plugins.'a.b']\n  n = [1, 2.5]\n", "main.toml");
  ASSERT_THAT(tree, IsOk());
  EXPECT_EQ(tree->at("root"), Value("/x"));
  const Value& plugin = tree->at("plugins").table()->at("a.b");
  EXPECT_EQ(plugin.position.ToString(), "main.toml:2:10");
  const Value& numbers = plugin.table()->at("n");
  EXPECT_EQ(numbers.position.ToString(), "main.toml:3:3");
  EXPECT_EQ(numbers, Value(List{1, 2.5}));
}

TEST(TomlTest, SyntaxErrorsNameLineAndColumn) {
  EXPECT_THAT(ParseToml("a = 1\nb = = 2\n", "x.toml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("x.toml:2:5")));
  EXPECT_THAT(ParseToml("a = 1\na = 2\n", "x.toml"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("x.toml:2")));
}

TEST(TomlTest, WhatIsRenderedReadsBack) {
  const Table tree = {
      {"text", "it's \"quoted\"\n\x01 \\ \x7f é"},
      {"path", R"(C:\x)"},
      {"empty", ""},
      {"flag", true},
      {"number", int64_t{-9007199254740993}},
      {"ratio", 0.02},
      {"whole", 5.0},
      {"large", 1e300},
      {"list", List{"a", List{1}, Table{{"k e y", "v"}}}},
      {"none", List{}},
      {"table", Table{{"a.b", Table{{"", 1}}}, {"it's", Table{}}, {"last", 1}}},
  };
  const std::string text = RenderToml(tree);
  const auto again = ParseToml(text, "again");
  ASSERT_THAT(again, IsOk()) << text;
  EXPECT_EQ(Value(*again), Value(tree)) << text;
}

TEST(TomlTest, TablesFollowTheirParentsValues) {
  EXPECT_EQ(RenderToml({{"a", Table{{"b", 1}, {"c", Table{{"d", "e"}}}}}, {"z", false}}),
            "z = false\n\n[a]\n  b = 1\n\n  [a.c]\n    d = 'e'\n");
}

TEST(TomlTest, RandomBytesNeverCrash) {
  std::mt19937 random(42);
  const std::string alphabet = "ab=[]{}.,\"'#\n\\ 10-:T\xff_+ue";
  for (int round = 0; round < 20'000; ++round) {
    std::string input(random() % 40, ' ');
    for (char& c : input) c = alphabet[random() % alphabet.size()];
    const auto tree = ParseToml(input, "random");
    if (!tree.ok()) continue;
    const auto again = ParseToml(RenderToml(*tree), "again");
    ASSERT_THAT(again, IsOk()) << input;
  }
}

TEST(DurationTest, ReadsAndWritesGoDurations) {
  for (const std::string same :
       {"0s", "10s", "1m0s", "1h0m0s", "1h0m5s", "2h30m0s", "1.5s", "100ms", "-5s", "1m30s"}) {
    const auto duration = ParseGoDuration(same);
    ASSERT_TRUE(duration) << same;
    EXPECT_EQ(FormatGoDuration(*duration), same);
  }
  EXPECT_EQ(ParseGoDuration("3\u00b5s"), absl::Microseconds(3));
  EXPECT_EQ(ParseGoDuration("3\u03bcs"), absl::Microseconds(3));
  for (const char* bad : {"", "5", "x", "1d", "inf", "-inf", "1 s"}) {
    EXPECT_FALSE(ParseGoDuration(bad)) << bad;
  }
}

}  // namespace
}  // namespace gantry::config
