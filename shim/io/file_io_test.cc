// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <string>

#include "core/kernel/testing/matchers.h"
#include "gmock/gmock.h"
#include "shim/io/process_io.h"
#include "shim/io/testing/io_fixture.h"

namespace gantry::shim {
namespace {

using ::gantry::testing::FailsWith;
using ::gantry::testing::Succeeds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::OpenFds;

class FileIoTest : public testing::IoFixture {};

TEST_F(FileIoTest, DirectoriesAreMadeAndBothStreamsAppended) {
  const size_t fds = OpenFds();
  const std::string path = Path("a/b c/log");
  for (int i = 0; i < 2; ++i) {
    auto io = Make({.out = "file://" + Path("a/b%20c/log")});
    const auto process = Run(*io, "echo out; echo err >&2");
    EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
    AwaitClose(*io);
    RunToExit(process);
  }
  const std::string text = Content(path);
  EXPECT_EQ(text.size(), 16U);
  EXPECT_THAT(text, HasSubstr("out\n"));
  EXPECT_THAT(text, HasSubstr("err\n"));
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0644U);
  ASSERT_EQ(::stat(Path("a/b c").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0755U);
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(FileIoTest, AFileThatIsCutShortGoesOnAtItsNewEnd) {
  const std::string in_path = Fifo("in");
  auto io = Make({.in = in_path, .out = "file://" + Path("log"), .err = "ignored"});
  Run(*io, "while read x; do echo $x; echo $x >&2; done");
  const auto in = Open(in_path, O_WRONLY);
  ASSERT_EQ(::write(in.get(), "one\n", 4), 4);
  RunUntil([this] { return Content(Path("log")) == "one\none\n"; });
  ASSERT_EQ(::truncate(Path("log").c_str(), 0), 0);
  ASSERT_EQ(::write(in.get(), "two\n", 4), 4);
  RunUntil([this] { return Content(Path("log")) == "two\ntwo\n"; });
}

TEST_F(FileIoTest, WhatCannotBeOpenedIsNamed) {
  const size_t fds = OpenFds();
  ASSERT_THAT(kernel::WriteFileAtomic(Path("file"), "", 0600, kernel::Durability::kNone),
              Succeeds());
  auto io = Make({.out = "file://" + Path("file/log")});
  const auto prepared = Await(io->Prepare(kNever));
  ASSERT_FALSE(prepared.ok());
  EXPECT_THAT(prepared.error().Text(), HasSubstr(Path("file")));
  io = Make({.in = Path("nowhere"), .out = "file://" + Path("log")});
  ASSERT_THAT(Await(io->Prepare(kNever)), Succeeds());
  EXPECT_THAT(Await(io->Connect(kNever)), FailsWith(ENOENT));
  EXPECT_EQ(OpenFds(), fds);
}

}  // namespace
}  // namespace gantry::shim
