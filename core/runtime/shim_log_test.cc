// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/shim_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::runtime {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ShimLogLineTest, UnderstandsLogfmt) {
  const ShimLogLine line = ParseShimLogLine(
      R"(time="2026-01-01T00:00:00Z" level=warning msg="it \"broke\"" runtime=io.x error="a b")");
  EXPECT_EQ(line.level, log::Level::kWarn);
  EXPECT_EQ(line.message, R"(it "broke")");
  EXPECT_EQ(line.rest, R"(runtime="io.x" error="a b")");
}

TEST(ShimLogLineTest, TakesAnythingElseAsAMessage) {
  for (const char* text : {"panic: oh no", "msg=\"unterminated", "=x", "level=info", "a b=c"}) {
    EXPECT_EQ(ParseShimLogLine(text).message, text);
    EXPECT_EQ(ParseShimLogLine(text).level, log::Level::kInfo);
  }
}

TEST(ShimLogTest, AWriterNeverBlocksWhileTheLogIsOpen) {
  const TempDir dir;
  const auto loop = *Loop::Start("test");
  const auto fifo = dir.path() / "log";
  auto log = ShimLog::Open(*loop, fifo, "ns", "c1");
  ASSERT_THAT(log, IsOk());
  const int writer = ::open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(writer, 0);
  // Far more than a fifo holds: it returns only because somebody reads.
  const std::string line = "time=x level=trace msg=\"" + std::string(1000, 'x') + "\"\n";
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(::write(writer, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  ::close(writer);
  log->reset();
}

// What our own log says of what is written to a shim's.
class ShimLogCopyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::Configure(log::Level::kDebug, log::Format::kText);
    ::testing::internal::CaptureStderr();
  }
  void TearDown() override {
    if (!told_) ::testing::internal::GetCapturedStderr();
    log::Configure(log::Level::kInfo, log::Format::kText);
  }

  void Open() {
    auto log = ShimLog::Open(*loop_, fifo_, "ns", "c1");
    ASSERT_THAT(log, IsOk());
    log_ = *std::move(log);
  }
  // As our shim does, so that the fifo lives on without us.
  kernel::UniqueFd OpenAsShim() {
    kernel::UniqueFd fd(::open(fifo_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    EXPECT_TRUE(fd);
    return fd;
  }
  static void Write(const kernel::UniqueFd& shim, std::string_view text) {
    ASSERT_EQ(::write(shim.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // Closes the log; all that was in the fifo has been told then.
  std::string Told() {
    log_.reset();
    loop_.reset();
    told_ = true;
    return ::testing::internal::GetCapturedStderr();
  }
  static std::string LineWith(const std::string& text, const std::string& word) {
    const size_t at = text.find(word);
    if (at == std::string::npos) return "";
    const size_t start = text.rfind('\n', at) + 1;
    return text.substr(start, text.find('\n', at) - start);
  }

  const TempDir dir_;
  const std::filesystem::path fifo_ = dir_.path() / "log";
  std::unique_ptr<Loop> loop_ = *Loop::Start("test");
  std::unique_ptr<ShimLog> log_;
  bool told_ = false;
};

TEST_F(ShimLogCopyTest, LinesKeepTheirLevelAndSayWhose) {
  Open();
  const kernel::UniqueFd shim = OpenAsShim();
  for (const char* level : {"debug", "info", "warning", "error", "fatal"}) {
    Write(shim, fmt::format("time=\"x\" level={} msg=\"said-{}\"\n", level, level));
  }
  Write(shim, "said-plain\n");
  const std::string told = Told();
  const auto tells = [](const std::string& level) {
    return AllOf(HasSubstr("level=" + level), HasSubstr("ns=ns"), HasSubstr("container=c1"));
  };
  EXPECT_THAT(LineWith(told, "said-debug"), tells("debug"));
  EXPECT_THAT(LineWith(told, "said-info"), tells("info"));
  EXPECT_THAT(LineWith(told, "said-warning"), tells("warn"));
  EXPECT_THAT(LineWith(told, "said-error"), tells("error"));
  EXPECT_THAT(LineWith(told, "said-fatal"), tells("error"));
  EXPECT_THAT(LineWith(told, "said-plain"), tells("info"));
}

TEST_F(ShimLogCopyTest, AnEndlessLineIsToldInPieces) {
  Open();
  const kernel::UniqueFd shim = OpenAsShim();
  Write(shim, std::string(40 << 10, 'x'));
  const std::string told = Told();
  EXPECT_EQ(std::ranges::count(told, 'x') >= 40 << 10, true);
  for (size_t start = 0; start < told.size();) {
    const size_t end = std::min(told.find('\n', start), told.size());
    EXPECT_LT(end - start, 24U << 10);
    start = end + 1;
  }
}

TEST_F(ShimLogCopyTest, TheLastWordsNeedNoEndOfLine) {
  Open();
  const kernel::UniqueFd shim = OpenAsShim();
  Write(shim, "panic: last words");
  EXPECT_THAT(LineWith(Told(), "last words"), HasSubstr("container=c1"));
}

TEST_F(ShimLogCopyTest, WhatIsWrittenWhileTheDaemonIsAwayIsToldByTheNext) {
  Open();
  const kernel::UniqueFd shim = OpenAsShim();
  Write(shim, "said before\n");
  log_.reset();
  Write(shim, "said between\n");
  Open();
  Write(shim, "said after\n");
  const std::string told = Told();
  for (const char* text : {"said before", "said between", "said after"}) {
    EXPECT_THAT(told, HasSubstr(text));
  }
}

TEST_F(ShimLogCopyTest, AShimThatNobodyReadsIsNotHeldUp) {
  Open();
  const kernel::UniqueFd shim = OpenAsShim();
  log_.reset();
  const std::string line(1000, 'x');
  ssize_t written = 0;
  for (int i = 0; i < 1000 && written >= 0; ++i) {
    written = ::write(shim.get(), line.data(), line.size());
  }
  EXPECT_EQ(written, -1);
  EXPECT_EQ(errno, EAGAIN);
  // And the next reader finds a log that works.
  Open();
  EXPECT_THAT(Told(), HasSubstr("xxx"));
}

TEST_F(ShimLogCopyTest, AShimThatNeverOpensItsLogHoldsUpNobody) {
  Open();
  EXPECT_THAT(Told(), Not(HasSubstr("shim log")));
}

}  // namespace
}  // namespace gantry::runtime
