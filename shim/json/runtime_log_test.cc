// SPDX-License-Identifier: Apache-2.0
#include "shim/json/runtime_log.h"

#include <gmock/gmock.h>

namespace gantry::shim {
namespace {

std::string LastMessage(std::string_view log) {
  const auto error = LastRuntimeError(log);
  return error ? error->message : "(none)";
}

TEST(RuntimeLogTest, RecordsOfRuncCrunAndYoukiAreUnderstood) {
  EXPECT_EQ(
      LastMessage(R"({"level":"error","msg":"unable to start","time":"2024-01-01T00:00:00Z"})"),
      "unable to start");
  EXPECT_EQ(LastMessage(R"({ "level" : "error", "time" : "x", "msg" : "open `/x`: \"No\" file" })"),
            "open `/x`: \"No\" file");
  EXPECT_EQ(LastMessage(R"({"timestamp":"x","level":"ERROR","message":"failed","line":3})"),
            "failed");
  EXPECT_EQ(LastMessage(R"({"level":"ERROR","fields":{"message":"failed"},"target":"y"})"),
            "failed");
}

TEST(RuntimeLogTest, OnlyErrorsCountAndTheLastOne) {
  EXPECT_EQ(LastMessage("{\"level\":\"error\",\"msg\":\"first\"}\n"
                        "{\"level\":\"Fatal\",\"msg\":\"second\"}\n"
                        "{\"level\":\"warning\",\"msg\":\"third\"}\n"),
            "second");
  EXPECT_EQ(LastMessage(R"({"msg":"m","level":"panic"})"), "m");
  EXPECT_EQ(LastMessage(R"({"level":"info","msg":"m"}{"msg":"no level"}{"level":"error"})"),
            "(none)");
  EXPECT_EQ(LastMessage(R"({"level":"errors","msg":"m"})"), "(none)");
  EXPECT_EQ(LastMessage(R"({"level":3,"msg":"m"}{"level":"error","msg":4})"), "(none)");
}

TEST(RuntimeLogTest, WhatIsNoRecordIsPassedOver) {
  EXPECT_EQ(LastMessage(""), "(none)");
  EXPECT_EQ(LastMessage("panic: {oops\n\tgoroutine 1\n"), "(none)");
  EXPECT_EQ(LastMessage("garbage {x} {\"level\":\"error\",\"msg\":\"a\"} more [{\n"), "a");
  EXPECT_EQ(LastMessage("{\"level\":\"error\",\"msg\":\"a\"}{\"level\":\"error\",\"msg\":\"b\"}"),
            "b");
  EXPECT_EQ(LastMessage("{\"level\":\"error\",\"msg\":\"a\"}\n{\"level\":\"error\",\"msg\":\"cut"),
            "a");
  // A newer record written over an older, longer one.
  EXPECT_EQ(LastMessage("{\"level\":\"ERROR\",\"message\":\"new\"}\nld message\"}\n"), "new");
}

TEST(RuntimeLogTest, RecordsWithinTextAreNone) {
  EXPECT_EQ(LastMessage(R"({"level":"info","msg":"{\"level\":\"error\",\"msg\":\"inner\"}"})"),
            "(none)");
  EXPECT_EQ(LastMessage(R"({"level":"info","fields":{"level":"error","msg":"inner"},"msg":"x"})"),
            "(none)");
}

TEST(RuntimeLogTest, TheRecordComesAlongAsLogged) {
  const std::string record = R"({"level":"error", "msg":"a\u0062", "x":[1]})";
  const std::string log = "noise\n" + record + "\n{\"level\":\"info\",\"msg\":\"b\"}\n";
  const auto error = LastRuntimeError(log);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->message, "ab");
  EXPECT_EQ(error->record, record);
}

TEST(RuntimeLogTest, OnlyTheTailIsLookedAt) {
  const std::string record = "{\"level\":\"error\",\"msg\":\"old\"}\n";
  const std::string filler(kLogTailBytes - record.size(), ' ');
  EXPECT_EQ(LastMessage(record + filler), "old");
  EXPECT_EQ(LastMessage(record + filler + " "), "(none)");
}

TEST(RuntimeLogTest, HostileLogsTakeNoLongTime) {
  std::string nested;
  while (nested.size() < 2 * kLogTailBytes) nested += R"({"a":[)";
  EXPECT_EQ(LastMessage(nested), "(none)");
  EXPECT_EQ(LastMessage(std::string(2 * kLogTailBytes, '{')), "(none)");
}

}  // namespace
}  // namespace gantry::shim
