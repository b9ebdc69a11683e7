// SPDX-License-Identifier: Apache-2.0
#include "shim/loop/loop.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/loop/wait.h"

namespace gantry::shim {
namespace {

using std::chrono::milliseconds;

struct Pipe {
  kernel::UniqueFd read, write;
};

Pipe MakePipe() {
  std::array<int, 2> fds{};
  EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC | O_NONBLOCK), 0);
  return {kernel::UniqueFd(fds[0]), kernel::UniqueFd(fds[1])};
}

class LoopTest : public ::testing::Test {
 protected:
  LoopTest() {
    // A test that forgets to stop the loop fails instead of hanging.
    limit_.After(std::chrono::seconds(20));
  }

  std::unique_ptr<Loop> owned_ = *Loop::Create();
  Loop& loop_ = *owned_;
  Timer limit_{loop_, [this] {
                 ADD_FAILURE() << "the loop was not stopped";
                 loop_.Stop();
               }};
};

TEST_F(LoopTest, RunsWhatWasPostedInOrderAndLaterPostsInALaterTurn) {
  std::string order;
  loop_.Post([&] {
    order += "a";
    loop_.Post([&] {
      order += "c";
      loop_.Stop();
    });
  });
  loop_.Post([&] { order += "b"; });
  loop_.Run();
  EXPECT_EQ(order, "abc");
}

TEST_F(LoopTest, TimersRunInOrderOfTimeAndNotBefore) {
  std::string order;
  const Time start = Clock::now();
  Timer second(loop_, [&] {
    order += "2";
    loop_.Stop();
  });
  Timer first(loop_, [&] { order += "1"; });
  Timer cancelled(loop_, [&] { order += "x"; });
  second.At(start + milliseconds(20));
  first.At(start + milliseconds(10));
  cancelled.At(start + milliseconds(5));
  cancelled.Cancel();
  loop_.Run();
  EXPECT_EQ(order, "12");
  EXPECT_GE(Clock::now() - start, milliseconds(20));
  EXPECT_FALSE(first.armed());
}

TEST_F(LoopTest, ATimerMayDestroyItself) {
  auto timer = std::make_unique<std::optional<Timer>>();
  timer->emplace(loop_, [&] {
    timer->reset();
    loop_.Stop();
  });
  (*timer)->After(milliseconds(1));
  loop_.Run();
  EXPECT_FALSE(timer->has_value());
}

TEST_F(LoopTest, AWatchSeesDataAndHangup) {
  Pipe pipe = MakePipe();
  std::vector<uint32_t> seen;
  FdWatch watch(loop_, pipe.read.get(), [&](uint32_t events) {
    seen.push_back(events);
    std::array<char, 8> data{};
    if (::read(pipe.read.get(), data.data(), data.size()) > 0) {
      pipe.write.Reset();
    } else {
      loop_.Stop();
    }
  });
  ASSERT_TRUE(watch.Arm(EPOLLIN).ok());
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  loop_.Run();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0], static_cast<uint32_t>(EPOLLIN));
  EXPECT_EQ(seen[1], static_cast<uint32_t>(EPOLLHUP));
}

TEST_F(LoopTest, AWatchEndedByAnotherOfTheSameTurnIsNotCalled) {
  Pipe one = MakePipe();
  Pipe two = MakePipe();
  int calls = 0;
  std::optional<FdWatch> first;
  std::optional<FdWatch> second;
  first.emplace(loop_, one.read.get(), [&](uint32_t) {
    ++calls;
    second.reset();
    loop_.Post([&] { loop_.Stop(); });
    first->Disarm();
  });
  second.emplace(loop_, two.read.get(), [&](uint32_t) {
    ++calls;
    first.reset();
    loop_.Post([&] { loop_.Stop(); });
    second->Disarm();
  });
  ASSERT_TRUE(first->Arm(EPOLLIN).ok());
  ASSERT_TRUE(second->Arm(EPOLLIN).ok());
  ASSERT_EQ(::write(one.write.get(), "x", 1), 1);
  ASSERT_EQ(::write(two.write.get(), "x", 1), 1);
  loop_.Run();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(loop_.watches(), 0U);
}

TEST_F(LoopTest, AFileThatIsAlwaysReadyCannotBeWatched) {
  kernel::UniqueFd file(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  FdWatch watch(loop_, file.get(), [](uint32_t) {});
  const auto armed = watch.Arm(EPOLLIN);
  ASSERT_FALSE(armed.ok());
  EXPECT_EQ(armed.error().err, EPERM);
}

Co<int> Later(Loop& loop, int value) {
  co_await Sleep(loop, milliseconds(1));
  co_return value;
}

Co<void> Sum(Loop& loop, int& sum) {
  for (int i = 1; i <= 3; ++i) sum += co_await Later(loop, i);
  loop.Stop();
}

TEST_F(LoopTest, ACoroutineAwaitsAnother) {
  int sum = 0;
  Start(Sum(loop_, sum));
  EXPECT_EQ(sum, 0);
  loop_.Run();
  EXPECT_EQ(sum, 6);
}

Co<int> AtOnce(int value) { co_return value; }

// Without optimisation the compiler makes a call of each transfer.
#if defined(__SANITIZE_ADDRESS__) || defined(GANTRY_TSAN)
constexpr int kMany = 1000;
#else
constexpr int kMany = 1'000'000;
#endif

Co<void> ManyAtOnce(int64_t& sum) {
  for (int i = 0; i < kMany; ++i) sum += co_await AtOnce(1);
}

TEST_F(LoopTest, AwaitingWhatIsReadyDoesNotGrowTheStack) {
  int64_t sum = 0;
  Start(ManyAtOnce(sum));
  EXPECT_EQ(sum, kMany);
}

Co<void> NoteWait(Event& event, Time deadline, std::string& order, char name) {
  order += co_await event.Wait(deadline) ? name : '-';
}

TEST_F(LoopTest, AnEventLetsEveryWaiterOnInOrderAndGivesUpAtTheDeadline) {
  Event event(loop_);
  std::string order;
  Start(NoteWait(event, Clock::now() + milliseconds(1), order, 'x'));
  Start(NoteWait(event, kNever, order, 'a'));
  Start(NoteWait(event, Clock::now() + std::chrono::hours(1), order, 'b'));
  Timer set(loop_, [&] {
    event.Set();
    event.Set();
    loop_.Post([&] { loop_.Stop(); });
  });
  set.After(milliseconds(10));
  loop_.Run();
  EXPECT_EQ(order, "-ab");
  Start(NoteWait(event, kNever, order, 'c'));
  EXPECT_EQ(order, "-abc");
  EXPECT_EQ(loop_.timers(), 1U);  // the test's own
}

Co<void> NoteWaitUnlessGivenUp(Event& event, Time deadline, GiveUp& give_up, std::string& order,
                               char name) {
  order += co_await event.Wait(deadline, give_up) ? name : '-';
}

TEST_F(LoopTest, WhoIsToldToWaitNoLongerGoesOnOnce) {
  Event event(loop_);
  std::string order;
  GiveUp before, early, late, at_once, unused;
  before.Now();
  Start(NoteWaitUnlessGivenUp(event, kNever, before, order, 'x'));
  EXPECT_EQ(order, "-");
  Start(NoteWaitUnlessGivenUp(event, Clock::now() + milliseconds(1), late, order, 'x'));
  Start(NoteWaitUnlessGivenUp(event, Clock::now() + std::chrono::hours(1), early, order, 'x'));
  Start(NoteWaitUnlessGivenUp(event, kNever, at_once, order, 'a'));
  Start(NoteWaitUnlessGivenUp(event, kNever, unused, order, 'b'));
  early.Now();
  early.Now();
  Timer set(loop_, [&] {
    late.Now();
    event.Set();
    at_once.Now();
    loop_.Post([&] { loop_.Stop(); });
  });
  set.After(milliseconds(10));
  loop_.Run();
  EXPECT_EQ(order, "---ab");
  EXPECT_EQ(loop_.timers(), 1U);  // the test's own
}

Co<void> Pass(Loop& loop, Turnstile& turnstile, std::string& order, char name) {
  const auto turn = co_await turnstile.Enter();
  order += name;
  co_await Sleep(loop, milliseconds(1));
  order += name;
  if (name == 'c') loop.Post([&loop] { loop.Stop(); });
}

TEST_F(LoopTest, ATurnstileLetsOneOnAfterTheOther) {
  Turnstile turnstile(loop_);
  std::string order;
  Start(Pass(loop_, turnstile, order, 'a'));
  Start(Pass(loop_, turnstile, order, 'b'));
  Start(Pass(loop_, turnstile, order, 'c'));
  EXPECT_TRUE(turnstile.taken());
  loop_.Run();
  EXPECT_EQ(order, "aabbcc");
  EXPECT_FALSE(turnstile.taken());
}

Co<void> AwaitReady(Loop& loop, int fd, Time deadline, kernel::Result<uint32_t>& result) {
  result = co_await WaitReady(loop, fd, EPOLLIN, deadline);
  loop.Stop();
}

TEST_F(LoopTest, ACoroutineWaitsForAnFdOrItsDeadline) {
  Pipe pipe = MakePipe();
  kernel::Result<uint32_t> result = 0U;
  Start(AwaitReady(loop_, pipe.read.get(), Clock::now() + milliseconds(5), result));
  loop_.Run();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().err, ETIMEDOUT);

  Start(AwaitReady(loop_, pipe.read.get(), kNever, result));
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  loop_.Run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(*result, static_cast<uint32_t>(EPOLLIN));
  EXPECT_EQ(loop_.watches(), 0U);
}

}  // namespace
}  // namespace gantry::shim
