// SPDX-License-Identifier: Apache-2.0
#include "shim/serve/shim_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>

#include "core/kernel/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::shim {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A bundle with its fifo, which is standard error and is read from the other end.
class ShimLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (fs::temp_directory_path() / "shim-log-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    bundle_ = folder;
    ASSERT_EQ(::mkfifo((bundle_ / "log").c_str(), 0700), 0);
    before_ = kernel::UniqueFd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    cwd_ = fs::current_path();
    fs::current_path(bundle_);
    OpenLog();
    reader_ =
        kernel::UniqueFd(::open((bundle_ / "log").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    ASSERT_TRUE(reader_);
  }
  void TearDown() override {
    ::dup2(before_.get(), STDERR_FILENO);
    fs::current_path(cwd_);
    fs::remove_all(bundle_);
  }

  std::string Read() {
    std::string text;
    std::array<char, 4096> buffer;
    for (ssize_t got = 0; (got = ::read(reader_.get(), buffer.data(), buffer.size())) > 0;) {
      text.append(buffer.data(), static_cast<size_t>(got));
    }
    return text;
  }

  fs::path bundle_;
  fs::path cwd_;
  kernel::UniqueFd before_;
  kernel::UniqueFd reader_;
};

TEST_F(ShimLogTest, WritesLogfmt) {
  Log("warning", "it \"broke\"\nbadly");
  const std::string line = Read();
  EXPECT_THAT(line, StartsWith("time=\""));
  EXPECT_THAT(line, EndsWith(" level=warning msg=\"it \\\"broke\\\" badly\"\n"));
}

TEST_F(ShimLogTest, ALongLineIsCutAndStillALine) {
  for (const std::string& text : {std::string(10000, 'x'), std::string(10000, '"')}) {
    Log("info", text);
    const std::string line = Read();
    EXPECT_LE(line.size(), 4096U);
    EXPECT_GE(line.size(), 4094U);
    EXPECT_THAT(line, EndsWith("\"\n"));
    // No half of an escape, which would open the line again.
    const std::string body = line.substr(line.find(" msg=") + 6);
    EXPECT_EQ(std::ranges::count(body, '\\') * 2, text[0] == '"' ? std::ssize(body) - 2 : 0);
  }
}

TEST_F(ShimLogTest, AFullFifoDropsLinesAndHoldsUpNobody) {
  for (int i = 0; i < 200; ++i) Log("info", std::string(1000, 'x'));
  const std::string text = Read();
  EXPECT_LT(text.size(), 200U * 1000);
  EXPECT_THAT(text, EndsWith("\"\n"));
  Log("info", "again");
  EXPECT_THAT(Read(), HasSubstr("again"));
}

TEST_F(ShimLogTest, OutlivesReaderAndName) {
  reader_ = kernel::UniqueFd();
  Log("info", "nobody reads");
  fs::remove(bundle_ / "log");
  for (int i = 0; i < 200; ++i) Log("info", std::string(1000, 'x'));
}

}  // namespace
}  // namespace gantry::shim
