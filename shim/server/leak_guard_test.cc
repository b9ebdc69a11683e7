// SPDX-License-Identifier: Apache-2.0
#include "shim/server/leak_guard.h"

#include "shim/server/testing/peer.h"

namespace gantry::shim {
namespace {

using std::chrono::milliseconds;

class LeakGuardTest : public testing::LoopFixture {
 protected:
  bool unused_ = true;
  bool expired_ = false;
  LeakGuard guard_{loop_, milliseconds(30), [this] { return unused_; },
                   [this] { expired_ = true; }};
};

TEST_F(LeakGuardTest, ExpiresAfterTheLimitAndNotBefore) {
  const Time start = Clock::now();
  guard_.Look();
  guard_.Look();
  RunUntil([this] { return expired_; });
  EXPECT_GE(Clock::now() - start, milliseconds(30));
}

TEST_F(LeakGuardTest, UseStartsTheTimeAnew) {
  guard_.Look();
  unused_ = false;
  guard_.Look();
  EXPECT_EQ(loop_.timers(), 1U);  // the fixture's
  unused_ = true;
  const Time start = Clock::now();
  guard_.Look();
  RunUntil([this] { return expired_; });
  EXPECT_GE(Clock::now() - start, milliseconds(30));
}

TEST_F(LeakGuardTest, ALimitOfZeroNeverExpires) {
  LeakGuard never(
      loop_, {}, [] { return true; }, [] {});
  never.Look();
  EXPECT_EQ(loop_.timers(), 1U);
}

}  // namespace
}  // namespace gantry::shim
