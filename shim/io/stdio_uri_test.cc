// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stdio_uri.h"

#include <cerrno>
#include <string>

#include "core/kernel/testing/matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim/io/stdio_request.h"

namespace gantry::shim {
namespace {

using ::gantry::testing::FailsWith;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

StdioUri Parsed(std::string_view text) {
  auto uri = ParseStdioUri(text);
  EXPECT_TRUE(uri.ok()) << text;
  return uri.ok() ? *std::move(uri) : StdioUri();
}

TEST(StdioUriTest, APathIsTakenAsItIs) {
  for (const std::string path : {"", "/run/x y%2", "/a:b?c#d", "relative", "1x:y", ":x", "a b:c"}) {
    EXPECT_EQ(Parsed(path).scheme, "") << path;
    EXPECT_EQ(Parsed(path).path, path);
  }
}

TEST(StdioUriTest, SchemePathAndQueryAreTakenApart) {
  const StdioUri uri = Parsed("Binary-V2:///usr/bin/my%20log?b=2&a=1&b=3&c&=x&d=%26+%3d&&#end");
  EXPECT_EQ(uri.scheme, "binary-v2");
  EXPECT_EQ(uri.path, "/usr/bin/my log");
  EXPECT_THAT(uri.query, ElementsAre(Pair("b", "2"), Pair("a", "1"), Pair("c", ""), Pair("", "x"),
                                     Pair("d", "& =")));
}

TEST(StdioUriTest, TheHostIsNoPartOfThePath) {
  EXPECT_EQ(Parsed("file://host/a").path, "/a");
  EXPECT_EQ(Parsed("file://a.log").path, "");
  EXPECT_EQ(Parsed("file:/a").path, "/a");
  EXPECT_EQ(Parsed("ttrpc+unix:///run/s.sock?streaming_id=x").scheme, "ttrpc+unix");
}

TEST(StdioUriTest, BadEscapesAndNulAreRefused) {
  for (const std::string_view text : {"file:///a%", "file:///a%2", "file:///a%zz", "file:///a%00",
                                      "binary:///a?x=%0", "binary:///a?%q=1"}) {
    EXPECT_THAT(ParseStdioUri(text), FailsWith(EINVAL)) << text;
  }
  EXPECT_THAT(ParseStdioUri(std::string_view("/a\0b", 4)), FailsWith(EINVAL));
}

StdioMode Mode(const StdioRequest& request) {
  auto mode = ModeOf(request);
  EXPECT_TRUE(mode.ok());
  return mode.ok() ? *mode : StdioMode::kNull;
}

TEST(StdioModeTest, TheOutputAloneDecides) {
  EXPECT_EQ(Mode({}), StdioMode::kNull);
  EXPECT_EQ(Mode({.terminal = true}), StdioMode::kConsole);
  EXPECT_EQ(Mode({.in = "/in"}), StdioMode::kFifo);
  EXPECT_EQ(Mode({.err = "binary:///x"}), StdioMode::kFifo);
  EXPECT_EQ(Mode({.out = "/out"}), StdioMode::kFifo);
  EXPECT_EQ(Mode({.out = "fifo:///out"}), StdioMode::kFifo);
  EXPECT_EQ(Mode({.out = "file:///out", .err = "binary:///x"}), StdioMode::kFile);
  EXPECT_EQ(Mode({.out = "binary:///x"}), StdioMode::kLogger);
  EXPECT_EQ(Mode({.out = "binary-v2:///x"}), StdioMode::kLogger);
  EXPECT_EQ(Mode({.terminal = true, .out = "binary:///x"}), StdioMode::kConsole);
  const std::string stream = "ttrpc+unix:///s?streaming_id=1";
  EXPECT_EQ(Mode({.out = stream}), StdioMode::kStream);
  EXPECT_EQ(Mode({.in = stream}), StdioMode::kStream);
  EXPECT_EQ(Mode({.terminal = true, .out = stream}), StdioMode::kConsole);
}

TEST(StdioModeTest, WhatIsNotKnownIsNamed) {
  for (const bool terminal : {false, true}) {
    for (const std::string scheme :
         {"grpc+unix", "grpc+vsock", "ttrpc+vsock", "ttrpc+hvsock", "tcp"}) {
      const auto mode = ModeOf({.terminal = terminal, .out = scheme + "://2:1024?streaming_id=1"});
      ASSERT_THAT(mode, FailsWith(EINVAL));
      EXPECT_THAT(mode.error().Text(), HasSubstr("unknown STDIO scheme " + scheme));
    }
  }
  const std::string stream = "ttrpc+unix:///s?streaming_id=1";
  for (const std::string other : {"grpc+unix:///s?streaming_id=1", "/fifo"}) {
    const auto mode = ModeOf({.in = other, .out = stream});
    ASSERT_THAT(mode, FailsWith(EINVAL));
    EXPECT_THAT(mode.error().Text(), HasSubstr("unknown STDIO scheme"));
  }
  for (const std::string nameless : {"ttrpc+unix:///s", "ttrpc+unix:///s?streaming_id="}) {
    EXPECT_THAT(ModeOf({.out = nameless}), FailsWith(EINVAL));
  }
  EXPECT_THAT(ModeOf({.out = "file://x.log"}), FailsWith(EINVAL));
  EXPECT_THAT(ModeOf({.out = "binary:logger"}), FailsWith(EINVAL));
}

}  // namespace
}  // namespace gantry::shim
