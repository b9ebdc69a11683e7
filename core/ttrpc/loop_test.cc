// SPDX-License-Identifier: Apache-2.0
#include "core/ttrpc/loop.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <future>

#include "core/base/testing/matchers.h"

namespace gantry::ttrpc {
namespace {

using ::testing::ElementsAre;

class LoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto loop = Loop::Start("test");
    ASSERT_THAT(loop, testing::IsOk());
    loop_ = *std::move(loop);
  }
  std::unique_ptr<Loop> loop_;
};

TEST_F(LoopTest, TasksRunInOrderOnOneThread) {
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) {
    loop_->Post([&order, i, this] {
      EXPECT_TRUE(loop_->InLoop());
      order.push_back(i);
    });
  }
  EXPECT_FALSE(loop_->InLoop());
  loop_->RunAndWait([&] { order.push_back(3); });
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3));
}

TEST_F(LoopTest, RunAndWaitInTheLoopRunsAtOnce) {
  bool inner = false;
  loop_->RunAndWait([&] { loop_->RunAndWait([&] { inner = true; }); });
  EXPECT_TRUE(inner);
}

TEST_F(LoopTest, TimersFireInOrderAndCanBeCancelled) {
  std::vector<int> order;
  std::promise<void> done;
  loop_->RunAndWait([&] {
    loop_->After(absl::Milliseconds(30), [&] {
      order.push_back(2);
      done.set_value();
    });
    loop_->After(absl::Milliseconds(10), [&] { order.push_back(1); });
    const auto cancelled = loop_->After(absl::Milliseconds(20), [&] { order.push_back(9); });
    loop_->CancelTimer(cancelled);
    loop_->CancelTimer(cancelled);
    loop_->CancelTimer(loop_->After(absl::InfiniteDuration(), [] {}));
  });
  done.get_future().wait();
  EXPECT_THAT(order, ElementsAre(1, 2));
}

TEST_F(LoopTest, AWatchMayRemoveItselfAndOthersOfTheSameBatch) {
  std::array<int, 2> first{};
  std::array<int, 2> second{};
  ASSERT_EQ(::pipe2(first.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(second.data(), O_CLOEXEC), 0);
  std::atomic<int> calls = 0;
  loop_->RunAndWait([&] {
    std::shared_ptr<std::vector<Loop::WatchId>> ids =
        std::make_shared<std::vector<Loop::WatchId>>();
    for (const int fd : {first[0], second[0]}) {
      auto id = loop_->Watch(fd, EPOLLIN, [&calls, ids, this](uint32_t) {
        ++calls;
        for (const Loop::WatchId id : *ids) loop_->Unwatch(id);
      });
      ASSERT_THAT(id, testing::IsOk());
      ids->push_back(*id);
    }
    ASSERT_EQ(::write(first[1], "x", 1), 1);
    ASSERT_EQ(::write(second[1], "x", 1), 1);
  });
  // Two rounds of the loop have passed when the second answer is here.
  loop_->RunAndWait([] {});
  loop_->RunAndWait([] {});
  EXPECT_EQ(calls, 1);
  for (const int fd : {first[0], first[1], second[0], second[1]}) ::close(fd);
}

TEST_F(LoopTest, WhatCannotBeWatchedIsAnError) {
  loop_->RunAndWait([&] { EXPECT_FALSE(loop_->Watch(-1, EPOLLIN, [](uint32_t) {}).ok()); });
}

TEST_F(LoopTest, TasksForALoopThatEndedAreDropped) {
  const auto mailbox = loop_->mailbox();
  auto token = std::make_shared<int>(1);
  loop_.reset();
  EXPECT_FALSE(mailbox->Post([token] {}));
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace gantry::ttrpc
