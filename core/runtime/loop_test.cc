// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <future>
#include <vector>

#include "core/base/testing/matchers.h"
#include "gtest/gtest.h"

namespace gantry::runtime {
namespace {

using ::gantry::testing::IsOk;

std::unique_ptr<Loop> StartLoop() {
  auto loop = Loop::Start("test");
  EXPECT_THAT(loop, IsOk());
  return *std::move(loop);
}

TEST(LoopTest, CallsWhenADescriptorBecomesReadable) {
  const auto loop = StartLoop();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  std::promise<char> got;
  const auto watch = loop->Watch(ends[0], EPOLLIN, [&](uint32_t) {
    char byte = 0;
    if (::read(ends[0], &byte, 1) == 1) got.set_value(byte);
  });
  ASSERT_THAT(watch, IsOk());
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  EXPECT_EQ(got.get_future().get(), 'x');
  loop->Unwatch(*watch);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(LoopTest, TimersRunInOrderOfTheirTimes) {
  const auto loop = StartLoop();
  std::vector<int> order;
  std::promise<void> last;
  const absl::Time now = absl::Now();
  loop->At(now + absl::Milliseconds(20), [&] {
    order.push_back(3);
    last.set_value();
  });
  loop->At(now + absl::Milliseconds(10), [&] { order.push_back(2); });
  loop->At(now - absl::Seconds(1), [&] { order.push_back(1); });
  last.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(LoopTest, ACancelledTimerDoesNotRun) {
  const auto loop = StartLoop();
  bool ran = false;
  const Loop::TimerId id = loop->After(absl::Milliseconds(5), [&] { ran = true; });
  EXPECT_TRUE(loop->Cancel(id));
  EXPECT_FALSE(loop->Cancel(id));
  std::promise<void> later;
  loop->After(absl::Milliseconds(10), [&] { later.set_value(); });
  later.get_future().wait();
  EXPECT_FALSE(ran);
}

TEST(LoopTest, AWatchMayRemoveItself) {
  const auto loop = StartLoop();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  int calls = 0;
  Loop::WatchId id = 0;
  std::promise<void> done;
  loop->Post([&] {
    id = *loop->Watch(ends[0], EPOLLIN, [&](uint32_t) {
      ++calls;
      loop->Unwatch(id);
      loop->After(absl::Milliseconds(5), [&] { done.set_value(); });
    });
  });
  done.get_future().wait();
  EXPECT_EQ(calls, 1);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(LoopTest, PostedWorkRunsInOrderOnOneThread) {
  const auto loop = StartLoop();
  std::vector<int> order;
  std::promise<std::thread::id> thread;
  for (int i = 0; i < 100; ++i) loop->Post([&order, i] { order.push_back(i); });
  loop->Post([&] { thread.set_value(std::this_thread::get_id()); });
  EXPECT_NE(thread.get_future().get(), std::this_thread::get_id());
  EXPECT_EQ(order.size(), 100U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

}  // namespace
}  // namespace gantry::runtime
