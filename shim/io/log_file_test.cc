// SPDX-License-Identifier: Apache-2.0
#include "shim/io/log_file.h"

#include <cerrno>
#include <string>

#include "core/kernel/testing/matchers.h"
#include "gmock/gmock.h"
#include "shim/io/log_format.h"
#include "shim/io/testing/io_fixture.h"

namespace gantry::shim {
namespace {

using ::gantry::testing::FailsWith;
using ::gantry::testing::Succeeds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::string JsonLine(std::string_view content, bool complete = true) {
  std::string out;
  AppendLogLine(LogFormat::kJson,
                {.time = "T", .stream = "stderr", .content = content, .complete = complete}, out);
  return out;
}

TEST(LogFormatTest, TimesHaveNineDigitsAndAreUtc) {
  EXPECT_EQ(LogTime({.tv_sec = 1700000000, .tv_nsec = 5}), "2023-11-14T22:13:20.000000005Z");
  EXPECT_EQ(LogTime({}), "1970-01-01T00:00:00.000000000Z");
}

TEST(LogFormatTest, JsonIsEscaped) {
  EXPECT_EQ(
      JsonLine("a\"b\\c\td\re\x01\x7f"),
      "{\"log\":\"a\\\"b\\\\c\\td\\re\\u0001\x7f\\n\",\"stream\":\"stderr\",\"time\":\"T\"}\n");
  EXPECT_EQ(JsonLine("", false), "{\"log\":\"\",\"stream\":\"stderr\",\"time\":\"T\"}\n");
}

TEST(LogFormatTest, WhatIsNotUtf8IsReplacedInJson) {
  EXPECT_THAT(JsonLine("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
              HasSubstr("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\\n"));
  for (const std::string_view bad : {"\x80", "\xc0\xaf", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                     "\xe0\x80\x80", "\xff", "\xf0\x9f\x98"}) {
    const std::string line = JsonLine(bad);
    EXPECT_THAT(line, HasSubstr("{\"log\":\"\\ufffd"));
    for (const char c : line) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
  }
}

class LogFileTest : public testing::IoFixture {
 protected:
  // Of each line what follows the time.
  std::string Lines() const {
    std::string text = Content(Path("log"));
    std::string lines;
    while (!text.empty()) {
      const size_t end = text.find('\n');
      EXPECT_THAT(text.substr(0, 31),
                  MatchesRegex("20..-..-..T..:..:......[0-9][0-9][0-9][0-9][0-9][0-9]Z "));
      lines += text.substr(31, end - 30);
      text.erase(0, end + 1);
    }
    return lines;
  }

  std::shared_ptr<LogFile> OpenLog(const std::string& scheme, const std::string& query = "") const {
    auto file = LogFile::Open(scheme + "://" + Path("log") + query);
    EXPECT_THAT(file, Succeeds());
    return file ? *std::move(file) : nullptr;
  }
};

TEST_F(LogFileTest, LinesAreKeptUntilTheyAreComplete) {
  const auto file = OpenLog("cri+file");
  LogStream out(file, OutputStream::kStdout);
  LogStream err(file, OutputStream::kStderr);
  out.Write("one\ntw");
  err.Write("error\n");
  out.Write("o");
  EXPECT_EQ(Lines(), "stdout F one\nstderr F error\n");
  out.Write("\n\nend");
  out.Finish();
  err.Finish();
  EXPECT_EQ(Lines(), "stdout F one\nstderr F error\nstdout F two\nstdout F \nstdout P end\n");
}

TEST_F(LogFileTest, LongLinesAreCutIntoPieces) {
  const auto file = OpenLog("cri+file", "?max-line=64");
  const std::string full(64, 'a');
  const std::string wanted = "stdout F " + full + "\nstdout P " + full + "\nstdout F b\n";
  LogStream whole(file, OutputStream::kStdout);
  whole.Write(full + "\n" + full + "b\n");
  EXPECT_EQ(Lines(), wanted);
  ASSERT_EQ(::truncate(Path("log").c_str(), 0), 0);
  LogStream bytes(file, OutputStream::kStdout);
  for (const char c : full + "\n" + full + "b\n") bytes.Write({&c, 1});
  EXPECT_EQ(Lines(), wanted);
}

TEST_F(LogFileTest, ManyShortLinesAreAllWritten) {
  const auto file = OpenLog("cri+file");
  LogStream out(file, OutputStream::kStdout);
  out.Write(std::string(65536, '\n'));
  EXPECT_EQ(Content(Path("log")).size(), 65536U * 41U);
}

TEST_F(LogFileTest, SizesOutOfRangeAreRefused) {
  for (const std::string size : {"63", "1048577", "x", "64x", "", "-1", "99999999999999999999"}) {
    EXPECT_THAT(LogFile::Open("cri+file://" + Path("log") + "?max-line=" + size), FailsWith(EINVAL))
        << size;
  }
}

TEST_F(LogFileTest, AProcessWritesToItAndItIsReopened) {
  StdioRequest request{.in = Fifo("in"), .out = "json+file://" + Path("log")};
  auto io = Make(request);
  Run(*io, "while read x; do echo $x; done; printf end >&2");
  auto in = Open(request.in, O_WRONLY);
  ASSERT_EQ(::write(in.get(), "one\n", 4), 4);
  RunUntil([this] { return Content(Path("log")).ends_with("\n"); });
  ASSERT_EQ(::rename(Path("log").c_str(), Path("log.1").c_str()), 0);
  ASSERT_THAT(io->ReopenLog(), Succeeds());
  ASSERT_EQ(::write(in.get(), "two\n", 4), 4);
  in.Reset();
  io->CloseStdin();
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  EXPECT_THAT(
      Content(Path("log.1")),
      MatchesRegex("\\{\"log\":\"one\\\\n\",\"stream\":\"stdout\",\"time\":\"[^\"]*\"\\}\n"));
  EXPECT_THAT(Content(Path("log")),
              MatchesRegex("\\{\"log\":\"two\\\\n\",\"stream\":\"stdout\",\"time\":\"[^\"]*\"\\}\n"
                           "\\{\"log\":\"end\",\"stream\":\"stderr\",\"time\":\"[^\"]*\"\\}\n"));
}

TEST_F(LogFileTest, APartOfALineIsNotLostWhenTheStreamIsCut) {
  auto io = Make({.out = "cri+file://" + Path("log")});
  const auto process = Run(*io, "sleep 1000 & printf whole; printf part >&2");
  RunToExit(process);
  EXPECT_FALSE(Await(io->Drain(In(milliseconds(50)))));
  AwaitClose(*io);
  EXPECT_EQ(Lines(), "stdout P whole\nstderr P part\n");
  ::kill(-process->pid, SIGKILL);
}

TEST_F(LogFileTest, ALogThatCannotBeReopenedGoesOn) {
  ASSERT_EQ(::mkdir(Path("d").c_str(), 0700), 0);
  auto file = LogFile::Open("file://" + Path("d/log"));
  ASSERT_THAT(file, Succeeds());
  ASSERT_EQ(::rename(Path("d").c_str(), Path("e").c_str()), 0);
  EXPECT_THAT((*file)->Reopen(), FailsWith(ENOENT));
  (*file)->Append("more");
  EXPECT_EQ(Content(Path("e/log")), "more");
}

}  // namespace
}  // namespace gantry::shim
