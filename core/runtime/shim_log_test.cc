// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/shim_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "gtest/gtest.h"

namespace gantry::runtime {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::TempDir;

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

}  // namespace
}  // namespace gantry::runtime
