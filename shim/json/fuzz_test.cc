// SPDX-License-Identifier: Apache-2.0
// Damaged input: nothing crashes, and what is accepted keeps its promises. Seeds are fixed, so a
// failure repeats.
#include <gmock/gmock.h>

#include <array>
#include <random>

#include "shim/json/json_reader.h"
#include "shim/json/pid_list.h"
#include "shim/json/process_edit.h"
#include "shim/json/runtime_log.h"
#include "shim/json/spec_scan.h"

namespace gantry::shim {
namespace {

constexpr std::array<std::string_view, 5> kSeeds = {
    R"({"annotations":{"a":"b"},"linux":{"namespaces":[{"type":"pid"}],"cgroupsPath":"/x"}})",
    R"({"terminal":false,"args":["sh","-c"],"Terminal":1,"user":{"uid":0}})",
    "{\"level\":\"error\",\"msg\":\"m\\u00e9\"}\n{\"level\":\"ERROR\",\"fields\":{\"message\":"
    "\"n\"}}",
    R"({"process":{"terminal":true},"annotations":{"a":null,"a":"\ud83d\ude00"}})", "[1, 22,333]"};

std::string Damage(std::string text, std::mt19937& random) {
  constexpr std::string_view kLetters = "{}[]\",:\\ue019-.truefalsn \n";
  for (auto changes = random() % 4; changes > 0 && !text.empty(); --changes) {
    const size_t at = random() % text.size();
    const size_t from = random() % text.size();
    switch (random() % 4) {
      case 0:
        text[at] = kLetters[random() % kLetters.size()];
        break;
      case 1:
        text[at] = static_cast<char>(random());
        break;
      case 2:
        text.erase(at, 1 + random() % 5);
        break;
      default:
        text.insert(at, text.substr(from, random() % 30));
    }
  }
  return text;
}

TEST(FuzzTest, WhateverComesIsReadOrRefused) {
  constexpr std::array<std::string_view, 1> kWanted = {"a"};
  std::mt19937 random(20240703);
  for (int round = 0; round < 30'000; ++round) {
    const std::string text = Damage(std::string(kSeeds[random() % kSeeds.size()]), random);
    const bool is_json = JsonReader(text).Finish();
    const bool is_object = is_json && JsonReader(text).EnterObject();

    const auto summary = ScanSpec(text, kWanted);
    EXPECT_EQ(summary.ok(), is_object) << text;
    if (summary) {
      EXPECT_LE(summary->annotations.size(), 1U);
    }

    const auto edited = SetProcessTerminal(text, true);
    ASSERT_EQ(edited.ok(), is_object) << text;
    if (edited) {
      EXPECT_TRUE(JsonReader(*edited).Finish()) << *edited;
      EXPECT_EQ(*SetProcessTerminal(*edited, true), *edited) << "nothing is left to replace";
    }

    if (const auto error = LastRuntimeError(text)) {
      EXPECT_TRUE(JsonReader(error->record).Finish()) << text;
      EXPECT_FALSE(error->message.empty());
    }
    if (ParsePidList(text)) {
      EXPECT_TRUE(is_json) << text;
    }
  }
}

}  // namespace
}  // namespace gantry::shim
