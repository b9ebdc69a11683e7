// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/output_wait.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <string>

#include "core/kernel/unique_fd.h"
#include "core/runtime/testing/fake_shim.h"
#include "core/runtime/testing/task_fixture.h"

namespace gantry::runtime {
namespace {

using ::gantry::testing::IsOk;
using kernel::UniqueFd;

// A task that writes to a fifo, with the test as its client and as its shim.
class OutputWaitTest : public testing::TaskFixture {
 protected:
  OutputWaitTest() {
    EXPECT_EQ(::mkfifo(fifo_.c_str(), 0600), 0);
    client_ = UniqueFd(::open(fifo_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    writer_ = UniqueFd(::open(fifo_.c_str(), O_WRONLY | O_CLOEXEC));
    CreateOptions options;
    options.spec.emplace().set_type_url("spec");
    options.spec->set_value("{}");
    options.runtime = shim_.program().string();
    options.stdio = {.out = fifo_, .err = "binary:///no/such/program"};
    EXPECT_THAT(Create("c1", options), IsOk());
    EXPECT_THAT(Start("c1"), IsOk());
  }

  void Write(const std::string& text) {
    EXPECT_EQ(::write(writer_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::string Read() {
    std::string text(100, '\0');
    text.resize(static_cast<size_t>(std::max<ssize_t>(0, ::read(client_.get(), text.data(), 100))));
    return text;
  }
  bool Answered(std::chrono::milliseconds within) {
    return waiting_.wait_for(within) == std::future_status::ready;
  }

  const std::string fifo_ = (dir_.path() / "fifo").string();
  UniqueFd client_;
  UniqueFd writer_;
  testing::FakeShim shim_{dir_.path() / "shim"};
  std::future<absl::StatusOr<Exit>> waiting_;
};

TEST_F(OutputWaitTest, AnEndIsToldAfterTheOutput) {
  waiting_ = Wait("c1");
  Write("last words");
  shim_.Exit("c1", 7);
  EXPECT_FALSE(Answered(std::chrono::milliseconds(20)));
  EXPECT_EQ(Get("c1")->status, Status::kStopped);  // who asks for the state is told at once
  EXPECT_EQ(Read(), "last words");
  EXPECT_FALSE(Answered(std::chrono::milliseconds(10)));  // more may come
  Write("and more");
  writer_.Reset();
  EXPECT_FALSE(Answered(std::chrono::milliseconds(10)));
  EXPECT_EQ(Read(), "and more");
  EXPECT_EQ(waiting_.get()->status, 7U);
}

TEST_F(OutputWaitTest, WhatHasEndedIsNotWaitedFor) {
  Write("x");
  writer_.Reset();
  EXPECT_EQ(Read(), "x");
  shim_.Exit("c1", 0);
  waiting_ = Wait("c1");
  EXPECT_TRUE(Answered(std::chrono::milliseconds(40)));
}

TEST_F(OutputWaitTest, OutputThatNobodyReadsDelaysALittle) {
  Write("x");
  shim_.Exit("c1", 0);
  waiting_ = Wait("c1");
  EXPECT_FALSE(Answered(std::chrono::milliseconds(20)));
  EXPECT_TRUE(Answered(std::chrono::seconds(5)));
  EXPECT_EQ(Read(), "x");  // and is not lost
}

TEST_F(OutputWaitTest, ASilentWriterDelaysALittle) {
  shim_.Exit("c1", 0);
  waiting_ = Wait("c1");
  EXPECT_FALSE(Answered(std::chrono::milliseconds(10)));
  EXPECT_TRUE(Answered(std::chrono::seconds(5)));
}

}  // namespace
}  // namespace gantry::runtime
