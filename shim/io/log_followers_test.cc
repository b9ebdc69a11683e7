// SPDX-License-Identifier: Apache-2.0
#include "shim/io/log_followers.h"

#include <memory>
#include <string>
#include <vector>

#include "core/kernel/testing/matchers.h"
#include "gmock/gmock.h"
#include "shim/io/testing/io_fixture.h"

namespace gantry::shim {
namespace {

using ::gantry::testing::FailsWith;
using ::gantry::testing::Succeeds;
using std::chrono::seconds;

class LogFollowersTest : public testing::IoFixture {
 protected:
  // All that there is to take now, each stream's name before what it brought.
  static std::string TakeAll(LogFollower& follower) {
    std::string text;
    while (auto piece = follower.Take()) {
      text += piece->stream == OutputStream::kStdout ? "out:" : "err:";
      text += piece->data;
    }
    return text;
  }

  static Co<void> Wait(LogFollower& follower, bool& woken) {
    co_await follower.Ready();
    woken = true;
  }

  const std::shared_ptr<LogFollowers> log_ = std::make_shared<LogFollowers>();
};

TEST_F(LogFollowersTest, EachGetsWhatItWantsInOrder) {
  log_->Wrote(OutputStream::kStdout, "before");
  LogFollower both(loop_, log_, true, true);
  LogFollower err(loop_, log_, false, true);
  log_->Wrote(OutputStream::kStdout, "a");
  log_->Wrote(OutputStream::kStdout, "b");
  log_->Wrote(OutputStream::kStderr, "c");
  log_->Wrote(OutputStream::kStdout, "d");
  EXPECT_EQ(TakeAll(both), "out:aberr:cout:d");
  EXPECT_EQ(TakeAll(err), "err:c");
  log_->Ended(OutputStream::kStderr);
  EXPECT_TRUE(err.over());
  EXPECT_FALSE(both.over());
  log_->Wrote(OutputStream::kStdout, "last");
  log_->Ended(OutputStream::kStdout);
  EXPECT_TRUE(both.over());
  EXPECT_EQ(TakeAll(both), "out:last");
  LogFollower late(loop_, log_, true, true);
  EXPECT_TRUE(late.over());
}

TEST_F(LogFollowersTest, OneThatIsTooSlowIsCutOffAlone) {
  LogFollower slow(loop_, log_, true, true);
  LogFollower quick(loop_, log_, true, true);
  const std::string part(LogFollower::kMaxBytes / 4 + 1, 'x');
  size_t taken = 0;
  for (int i = 0; i < 4; ++i) {
    log_->Wrote(OutputStream::kStdout, part);
    while (auto piece = quick.Take()) {
      EXPECT_LE(piece->data.size(), LogFollower::kMaxPieceBytes);
      taken += piece->data.size();
    }
  }
  EXPECT_EQ(taken, 4 * part.size());
  EXPECT_FALSE(quick.too_slow());
  EXPECT_TRUE(slow.too_slow());
  EXPECT_FALSE(slow.Take().has_value());
}

TEST_F(LogFollowersTest, WhoeverWaitsIsWoken) {
  LogFollower follower(loop_, log_, true, false);
  bool woken = false;
  const auto wait = [&] {
    woken = false;
    Start(Wait(follower, woken));
  };
  wait();
  RunFor(std::chrono::milliseconds(10));
  EXPECT_FALSE(woken);
  log_->Wrote(OutputStream::kStdout, "x");
  RunUntil([&] { return woken; });
  // What happened meanwhile is not slept through.
  log_->Wrote(OutputStream::kStdout, "y");
  wait();
  EXPECT_TRUE(woken);
  wait();
  log_->Ended(OutputStream::kStdout);
  RunUntil([&] { return woken; });
}

TEST_F(LogFollowersTest, AProcessIsFollowedAsItWritesAndWhileItsLogIsReopened) {
  StdioRequest request{.in = Fifo("in"), .out = "cri+file://" + Path("log")};
  auto io = Make(request);
  Run(*io, "while read x; do echo $x; done; printf end >&2");
  ASSERT_NE(io->followers(), nullptr);
  LogFollower follower(loop_, io->followers(), true, true);
  auto in = Open(request.in, O_WRONLY);
  std::string text;
  const auto read_until = [&](const std::string& wanted) {
    RunUntil([&] {
      text += TakeAll(follower);
      return text == wanted;
    });
  };
  ASSERT_EQ(::write(in.get(), "one\n", 4), 4);
  read_until("out:one\n");
  ASSERT_EQ(::rename(Path("log").c_str(), Path("log.1").c_str()), 0);
  ASSERT_THAT(io->ReopenLog(), Succeeds());
  ASSERT_EQ(::write(in.get(), "two\n", 4), 4);
  read_until("out:one\nout:two\n");
  in.Reset();
  io->CloseStdin();
  EXPECT_TRUE(Await(io->Drain(In(seconds(10)))));
  read_until("out:one\nout:two\nerr:end");
  EXPECT_TRUE(follower.over());
  EXPECT_TRUE(Content(Path("log.1")).ends_with(" stdout F one\n"));
}

// Between an exec's request and its first output there is a runtime command.
TEST_F(LogFollowersTest, BeforeAProcessHasBegunItIsNotOver) {
  auto io = Make({.out = "file://" + Path("log")});
  ASSERT_THAT(Await(io->Prepare(In(seconds(10)))), Succeeds());
  LogFollower follower(loop_, io->followers(), true, true);
  EXPECT_FALSE(follower.over());
  bool woken = false;
  Start(Wait(follower, woken));
  io.reset();
  RunUntil([&] { return woken; });
  EXPECT_TRUE(follower.over());
}

TEST_F(LogFollowersTest, OtherOutputsHaveNoFollowers) {
  const auto io = Make({});
  EXPECT_EQ(io->followers(), nullptr);
  EXPECT_THAT(io->ReopenLog(), FailsWith(ENOTSUP));
}

}  // namespace
}  // namespace gantry::shim
