// SPDX-License-Identifier: Apache-2.0
#include "core/log/log.h"

#include "gtest/gtest.h"

namespace gantry::log {
namespace {

TEST(LogTest, TextQuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(Render(Format::kText, Level::kWarn, "T", "task exited",
                   {{"container", "a"}, {"pid", 7}, {"why", "a=\"b\"\n"}}),
            "time=T level=warning msg=\"task exited\" container=a pid=7 why=\"a=\\\"b\\\"\\n\"");
}

TEST(LogTest, JsonKeepsNumbersBareAndEscapesControls) {
  EXPECT_EQ(Render(Format::kJson, Level::kInfo, "T", "m",
                   {{"n", 1}, {"ok", true}, {"s", std::string_view("\x01", 1)}}),
            R"({"time":"T","level":"info","msg":"m","n":1,"ok":true,"s":"\u0001"})");
}

TEST(LogTest, LevelNamesParse) {
  Level level = Level::kInfo;
  EXPECT_TRUE(ParseLevel("warn", level));
  EXPECT_EQ(level, Level::kWarn);
  EXPECT_FALSE(ParseLevel("loud", level));
}

}  // namespace
}  // namespace gantry::log
