// SPDX-License-Identifier: Apache-2.0
#include "core/debug/thread_stacks.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "absl/debugging/symbolize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::debug {
namespace {

using ::testing::HasSubstr;

// Not inlined, so that it has a frame of its own.
__attribute__((noinline)) void StandStillUntil(std::atomic<bool>& done) {
  done.wait(false);
  asm volatile("" ::: "memory");
}

const ThreadStack* Find(const std::vector<ThreadStack>& stacks, const std::string& name) {
  for (const ThreadStack& stack : stacks) {
    if (stack.name == name) return &stack;
  }
  return nullptr;
}

class ThreadStacksTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { absl::InitializeSymbolizer("/proc/self/exe"); }

  StackCapture capture_;
};

TEST_F(ThreadStacksTest, EveryThreadShowsItsNameAndFrames) {
#ifdef GANTRY_TSAN
  GTEST_SKIP() << "ThreadSanitizer runs signal handlers late, and not where the thread stands";
#endif
  std::atomic<bool> ready = false;
  std::atomic<bool> done = false;
  std::thread waiting([&] {
    ::pthread_setname_np(::pthread_self(), "waiting");
    ready = true;
    ready.notify_all();
    StandStillUntil(done);
  });
  ready.wait(false);
  const auto stacks = capture_.Capture(absl::Seconds(10));
  done = true;
  done.notify_all();
  waiting.join();
  ASSERT_GE(stacks.size(), 2u);
  EXPECT_EQ(stacks[0].tid, ::gettid());
  const ThreadStack* stack = Find(stacks, "waiting");
  ASSERT_NE(stack, nullptr);
  EXPECT_FALSE(stack->frames.empty());
  EXPECT_THAT(Render(stacks), HasSubstr("\"waiting\" state"));
  EXPECT_THAT(Render({*stack}), HasSubstr("StandStillUntil"));
}

TEST_F(ThreadStacksTest, AThreadThatBlocksSignalsIsListedWithoutFrames) {
  std::atomic<bool> ready = false;
  std::atomic<bool> done = false;
  std::thread deaf([&] {
    ::pthread_setname_np(::pthread_self(), "deaf");
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    ready = true;
    ready.notify_all();
    done.wait(false);
  });
  ready.wait(false);
  const auto stacks = capture_.Capture(absl::Milliseconds(50));
  done = true;
  done.notify_all();
  deaf.join();
  const ThreadStack* stack = Find(stacks, "deaf");
  ASSERT_NE(stack, nullptr);
  EXPECT_TRUE(stack->frames.empty());
  EXPECT_THAT(Render(stacks), HasSubstr("no answer"));
}

}  // namespace
}  // namespace gantry::debug
