// SPDX-License-Identifier: Apache-2.0
#include "shim/json/json_reader.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <random>
#include <vector>

namespace gantry::shim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

bool IsJson(std::string_view text) { return JsonReader(text).Finish(); }

TEST(JsonReaderTest, ValuesOfEveryKindAreRead) {
  JsonReader json(
      R"( {"s":"a\tb" , "n":-12,"t":true,"f":false,"z":null,"o":{"x":1},"a":[1,[2],3]} )");
  ASSERT_TRUE(json.EnterObject());
  EXPECT_EQ(json.NextKey(), "s");
  EXPECT_EQ(json.String(), "a\tb");
  EXPECT_EQ(json.NextKey(), "n");
  EXPECT_EQ(json.Int(), -12);
  EXPECT_EQ(json.NextKey(), "t");
  EXPECT_EQ(json.Bool(), true);
  EXPECT_EQ(json.NextKey(), "f");
  EXPECT_EQ(json.Bool(), false);
  EXPECT_EQ(json.NextKey(), "z");
  EXPECT_TRUE(json.Null());
  EXPECT_EQ(json.NextKey(), "o");
  ASSERT_TRUE(json.EnterObject());
  EXPECT_EQ(json.NextKey(), "x");
  EXPECT_EQ(json.Int(), 1);
  EXPECT_EQ(json.NextKey(), std::nullopt);
  EXPECT_EQ(json.NextKey(), "a");
  ASSERT_TRUE(json.EnterArray());
  std::vector<std::string> elements;
  while (json.NextElement()) elements.emplace_back(json.Raw());
  EXPECT_THAT(elements, ElementsAre("1", "[2]", "3"));
  EXPECT_EQ(json.NextKey(), std::nullopt);
  EXPECT_TRUE(json.Finish());
}

TEST(JsonReaderTest, ValuesThatNobodyTakesArePassedOver) {
  JsonReader json(R"({"a":{"b":[1,{"c":"}"}]},"d":"x","e":1.5e3,"f":[],"g":{},"h":7})");
  ASSERT_TRUE(json.EnterObject());
  std::optional<int64_t> h;
  std::vector<std::string> keys;
  while (const auto key = json.NextKey()) {
    keys.emplace_back(*key);
    if (*key == "h") h = json.Int();
  }
  EXPECT_THAT(keys, ElementsAre("a", "d", "e", "f", "g", "h"));
  EXPECT_EQ(h, 7);
  EXPECT_TRUE(json.Finish());
}

TEST(JsonReaderTest, AValueOfAnotherKindStaysAtHand) {
  JsonReader json(R"("text")");
  EXPECT_FALSE(json.EnterObject());
  EXPECT_FALSE(json.EnterArray());
  EXPECT_FALSE(json.Bool());
  EXPECT_FALSE(json.Int());
  EXPECT_FALSE(json.Null());
  EXPECT_EQ(json.String(), "text");
  EXPECT_FALSE(json.String()) << "it was taken";
  EXPECT_EQ(json.Raw(), "");
  EXPECT_TRUE(json.Finish());
}

TEST(JsonReaderTest, OnlyWholeNumbersThatFitAreIntegers) {
  EXPECT_EQ(JsonReader("0").Int(), 0);
  EXPECT_EQ(JsonReader("-0").Int(), 0);
  EXPECT_EQ(JsonReader("9223372036854775807").Int(), INT64_MAX);
  EXPECT_EQ(JsonReader("-9223372036854775808").Int(), INT64_MIN);
  for (const char* text : {"9223372036854775808", "1.0", "1e2", "-1.5E-2"}) {
    JsonReader json(text);
    EXPECT_EQ(json.Int(), std::nullopt) << text;
    EXPECT_EQ(json.Raw(), text);
    EXPECT_TRUE(json.Finish());
  }
}

TEST(JsonReaderTest, StringsAreUnescaped) {
  EXPECT_EQ(JsonReader(R"("\"\\\/\b\f\n\r\t")").String(), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(JsonReader(R"("\u0041\u00e9\u20AC\ud83d\ude00")").String(), "A\u00e9\u20ac\U0001F600");
  EXPECT_EQ(JsonReader("\"caf\u00e9\"").String(), "caf\u00e9");
  EXPECT_EQ(JsonReader(R"("a\u0000b")").String(), std::string("a\0b", 3));
}

TEST(JsonReaderTest, HalfASurrogatePairIsReplaced) {
  EXPECT_EQ(JsonReader(R"("\ud83d")").String(), "\uFFFD");
  EXPECT_EQ(JsonReader(R"("\ude00x")").String(), "\uFFFDx");
  EXPECT_EQ(JsonReader(R"("\ud83d\n")").String(), "\uFFFD\n");
  EXPECT_EQ(JsonReader(R"("\ud83d\u0041")").String(), "\uFFFDA");
  EXPECT_EQ(JsonReader(R"("\ud83d\ud83d\ude00")").String(), "\uFFFD\U0001F600");
}

TEST(JsonReaderTest, KeysAreUnescapedToo) {
  JsonReader json(R"({"\u006bey":1})");
  ASSERT_TRUE(json.EnterObject());
  EXPECT_EQ(json.NextKey(), "key");
}

TEST(JsonReaderTest, WhatIsNoJsonIsToldWithItsPlace) {
  const std::vector<std::pair<std::string, size_t>> cases = {{"", 0},
                                                             {" ", 1},
                                                             {"{", 1},
                                                             {"[1,2", 4},
                                                             {R"({"a")", 4},
                                                             {R"({"a":)", 5},
                                                             {R"({"a":1,})", 7},
                                                             {"[1,]", 3},
                                                             {"[,1]", 1},
                                                             {"[1 2]", 3},
                                                             {"{1:2}", 1},
                                                             {"tru", 0},
                                                             {"nul", 0},
                                                             {"truex", 4},
                                                             {"01", 1},
                                                             {"-", 1},
                                                             {"1.", 2},
                                                             {"1e", 2},
                                                             {"+1", 0},
                                                             {".5", 0},
                                                             {R"("a)", 2},
                                                             {"\"\n\"", 1},
                                                             {R"("\x")", 2},
                                                             {R"("\u12g4")", 5},
                                                             {R"("\u12)", 5},
                                                             {"1 2", 2},
                                                             {"{}}", 2},
                                                             {"[}", 1},
                                                             {R"({"a":1 "b":2})", 7},
                                                             {R"({"a":1]})", 6},
                                                             {"'a'", 0},
                                                             {std::string("1\0", 2), 1}};
  for (const auto& [text, offset] : cases) {
    JsonReader json(text);
    EXPECT_FALSE(json.Finish()) << text;
    EXPECT_FALSE(json.ok()) << text;
    EXPECT_EQ(json.offset(), offset) << text;
  }
  JsonReader json("[1,x]");
  json.Finish();
  EXPECT_EQ(json.Error("parse x.json").Text(), "parse x.json: no JSON at byte 3: Invalid argument");
}

TEST(JsonReaderTest, NothingComesOfBrokenText) {
  JsonReader json(R"({"a":tru,"b":1})");
  ASSERT_TRUE(json.EnterObject());
  EXPECT_EQ(json.NextKey(), "a");
  EXPECT_EQ(json.NextKey(), std::nullopt);
  EXPECT_EQ(json.NextKey(), std::nullopt);
  EXPECT_FALSE(json.EnterObject());
  EXPECT_EQ(json.Raw(), "");
  EXPECT_FALSE(json.Finish());
}

TEST(JsonReaderTest, DepthIsBounded) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(IsJson(nested(JsonReader::kMaxDepth)));
  EXPECT_FALSE(IsJson(nested(JsonReader::kMaxDepth + 1)));
  EXPECT_FALSE(IsJson(std::string(1'000'000, '[')));
}

TEST(JsonReaderTest, ContainersThatWereNotFinishedAreNoEnd) {
  JsonReader json("[[1],2]");
  ASSERT_TRUE(json.EnterArray());
  ASSERT_TRUE(json.NextElement());
  EXPECT_FALSE(json.Finish());
}

// Rebuilds the value at hand.
nlohmann::json Read(JsonReader& json) {
  nlohmann::json value;
  if (json.EnterObject()) {
    value = nlohmann::json::object();
    while (const auto view = json.NextKey()) {
      const std::string key(*view);
      value[key] = Read(json);
    }
  } else if (json.EnterArray()) {
    value = nlohmann::json::array();
    while (json.NextElement()) value.push_back(Read(json));
  } else if (const auto text = json.String()) {
    value = *text;
  } else if (const auto flag = json.Bool()) {
    value = *flag;
  } else if (const auto number = json.Int()) {
    value = *number;
  } else if (!json.Null()) {
    value = nlohmann::json::parse(json.Raw(), nullptr, false);
  }
  return value;
}

std::string Damage(std::string text, std::mt19937& random) {
  constexpr std::string_view kLetters = "{}[]\",:\\ue0123456789-+.truefalsn \n\t/ab";
  for (auto changes = random() % 3; changes > 0 && !text.empty(); --changes) {
    const size_t at = random() % text.size();
    const char letter = kLetters[random() % kLetters.size()];
    if (random() % 2 == 0) {
      text[at] = letter;
    } else if (random() % 2 == 0) {
      text.insert(at, 1, letter);
    } else {
      text.erase(at, 1 + random() % 3);
    }
  }
  return text;
}

TEST(JsonReaderTest, DamagedTextIsJudgedAndUnderstoodAsByALibrary) {
  const std::string seed =
      R"({"ociVersion":"1.0.2","a":[1,-2.5e3,true,false,null,{}],"b\n":{"c":"\u00e9\\ \"x\""},"n":[[]]})";
  std::mt19937 random(20240701);
  int accepted = 0;
  for (int round = 0; round < 30'000; ++round) {
    const std::string text = Damage(seed, random);
    const auto expected = nlohmann::json::parse(text, nullptr, false);
    if (expected.is_discarded() && text.find("\\ud") != std::string::npos) continue;
    ASSERT_EQ(IsJson(text), !expected.is_discarded()) << text;
    if (expected.is_discarded()) continue;
    ++accepted;
    JsonReader json(text);
    ASSERT_EQ(Read(json), expected) << text;
    ASSERT_TRUE(json.Finish());
  }
  EXPECT_GT(accepted, 5000);
}

}  // namespace
}  // namespace gantry::shim
