// SPDX-License-Identifier: Apache-2.0
#include "shim/idle/quiet.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>

#include "core/kernel/unique_fd.h"

namespace gantry::shim {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPause(40);

class QuietTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(source_);
    ASSERT_TRUE(watch_.Arm(EPOLLIN));
  }

  // Something happens on the loop, until the time is over.
  void Happen(Clock::duration during) {
    const Time end = Clock::now() + during;
    do {
      ASSERT_EQ(::eventfd_write(source_.get(), 1), 0);
      Run(milliseconds(5));
    } while (Clock::now() < end);
  }

  void Run(Clock::duration limit) {
    Timer stop(*loop_, [this] { loop_->Stop(); });
    stop.After(limit);
    loop_->Run();
  }

  std::unique_ptr<Loop> loop_ = *Loop::Create();
  kernel::UniqueFd source_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  FdWatch watch_{*loop_, source_.get(), [this](uint32_t) {
                   eventfd_t count = 0;
                   EXPECT_EQ(::eventfd_read(source_.get(), &count), 0);
                 }};
  int calls_ = 0;
  Time called_;
  Quiet quiet_{*loop_, kPause, [this] {
                 ++calls_;
                 called_ = Clock::now();
               }};
};

TEST_F(QuietTest, IsCalledOnceAfterABurst) {
  Happen(milliseconds(0));
  const Time last = Clock::now();
  Run(10 * kPause);
  EXPECT_EQ(calls_, 1);
  EXPECT_GE(called_ - last, kPause - milliseconds(10));
  EXPECT_EQ(loop_->timers(), 0U);
}

TEST_F(QuietTest, IsNotCalledBeforeAnythingHappened) {
  Run(4 * kPause);
  EXPECT_EQ(calls_, 0);
  EXPECT_EQ(loop_->timers(), 0U);
}

TEST_F(QuietTest, IsCalledAfterEveryBurst) {
  for (int burst = 1; burst <= 3; ++burst) {
    Happen(milliseconds(0));
    Run(5 * kPause);
    EXPECT_EQ(calls_, burst);
  }
}

// A busy machine may leave a gap: what counts is that activity puts it off.
TEST_F(QuietTest, ActivityPutsItOff) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    const int before = calls_;
    Happen(3 * kPause);
    if (calls_ == before) return;
  }
  FAIL() << "it was called in the middle of all bursts";
}

}  // namespace
}  // namespace gantry::shim
