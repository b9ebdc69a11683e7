// SPDX-License-Identifier: Apache-2.0
#include "shim/options/toml_lines.h"

#include <gmock/gmock.h>

#include <random>

#include "core/kernel/testing/matchers.h"

namespace gantry::shim {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TomlLines Lines(std::string_view text) {
  auto lines = ReadTomlLines(text);
  EXPECT_THAT(lines, Succeeds()) << text;
  return lines ? *lines : TomlLines();
}

// The value of the only line.
TomlValue Value(const std::string& value) {
  const TomlLines lines = Lines("key = " + value);
  EXPECT_EQ(lines.entries.size(), 1U);
  return lines.entries.empty() ? TomlValue() : lines.entries.front().value;
}

TEST(TomlLinesTest, KeysAndValuesOfEveryKindAreRead) {
  const TomlLines lines = Lines(
      "# options\r\n"
      "\n"
      "SystemdCgroup = true\r\n"
      "  Root=\"/run/x\" # where\n"
      "\"io uid\"\t=\t-1_000\n"
      "'q' = 'a\\b'");
  ASSERT_EQ(lines.entries.size(), 4U);
  EXPECT_EQ(lines.entries[0].line, 3U);
  EXPECT_EQ(lines.entries[0].key, "SystemdCgroup");
  EXPECT_EQ(lines.entries[0].value, TomlValue(true));
  EXPECT_EQ(lines.entries[1].key, "Root");
  EXPECT_EQ(lines.entries[1].value, TomlValue("/run/x"));
  EXPECT_EQ(lines.entries[2].key, "io uid");
  EXPECT_EQ(lines.entries[2].value, TomlValue(int64_t{-1000}));
  EXPECT_EQ(lines.entries[3].key, "q");
  EXPECT_EQ(lines.entries[3].value, TomlValue("a\\b"));
  EXPECT_THAT(lines.ignored, IsEmpty());
}

TEST(TomlLinesTest, ValuesAreToldApart) {
  EXPECT_EQ(Value("false"), TomlValue(false));
  EXPECT_EQ(Value("0 # none"), TomlValue(int64_t{0}));
  EXPECT_EQ(Value("+7"), TomlValue(int64_t{7}));
  EXPECT_EQ(Value(R"("a \"b\" # \\ \u00e9")"), TomlValue("a \"b\" # \\ \u00e9"));
  EXPECT_EQ(Value(R"("")"), TomlValue(""));
  EXPECT_EQ(Value("''"), TomlValue(""));
  for (const char* value : {"", "True", "1.5", "0x10", "99999999999999999999", "[1, 2] # list",
                            "{a = 1}", "\"open", "'open", "\"a\" b", "1979-05-27", "\"\\x\""}) {
    EXPECT_EQ(Value(value), TomlValue()) << value;
  }
}

TEST(TomlLinesTest, TablesAndOddLinesArePassedOver) {
  const TomlLines lines = Lines("word\n= 1\na = 1\n[runtime]\nb = 2\nc = '''\n[[x]]\n");
  ASSERT_EQ(lines.entries.size(), 1U);
  EXPECT_EQ(lines.entries[0].key, "a");
  EXPECT_THAT(lines.ignored, ElementsAre("line 1", "line 2", "line 4, a table", "line 7, a table"));
}

TEST(TomlLinesTest, ValuesOfSeveralLinesAreRefused) {
  for (const char* text : {"a = [\n1]", "a = \"\"\"x\n\"\"\"", "a = '''\n'''", "a = [[1],\n[2]]",
                           "a = [\"]\",\n2]", "a = [ # ]\n]", "a = {\n}"}) {
    EXPECT_THAT(ReadTomlLines(text), FailsWith(EINVAL)) << text;
  }
}

TEST(TomlLinesTest, AnyTextIsSurvived) {
  constexpr std::string_view kLetters = "ab=\"'[]{}#\\\n\r\t 01_-+.truefals";
  std::mt19937 random(20240702);
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 40, ' ');
    for (char& letter : text) letter = kLetters[random() % kLetters.size()];
    const auto lines = ReadTomlLines(text);
    if (lines) {
      EXPECT_LE(lines->entries.size() + lines->ignored.size(), text.size());
    }
  }
}

}  // namespace
}  // namespace gantry::shim
