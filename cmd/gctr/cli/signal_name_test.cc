// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/cli/signal_name.h"

#include <gmock/gmock.h>

#include <csignal>

#include "core/base/testing/matchers.h"

namespace gantry::gctr {
namespace {

using testing::IsOkAndHolds;
using testing::StatusIs;

TEST(SignalNameTest, NamesAndNumbersAreSignals) {
  EXPECT_THAT(ParseSignal("9"), IsOkAndHolds(SIGKILL));
  EXPECT_THAT(ParseSignal("KILL"), IsOkAndHolds(SIGKILL));
  EXPECT_THAT(ParseSignal("sigusr1"), IsOkAndHolds(SIGUSR1));
  EXPECT_THAT(ParseSignal("SIGRTMIN"), IsOkAndHolds(SIGRTMIN));
  EXPECT_THAT(ParseSignal("RTMIN+3"), IsOkAndHolds(SIGRTMIN + 3));
  EXPECT_THAT(ParseSignal("SIGRTMAX-1"), IsOkAndHolds(SIGRTMAX - 1));
}

TEST(SignalNameTest, OthersAreNot) {
  for (const char* text : {"", "0", "-1", "99", "SIGNOT", "RTMIN+99", "RTMIN-1", "RTMAX+", "9x"}) {
    EXPECT_THAT(ParseSignal(text), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
}

}  // namespace
}  // namespace gantry::gctr
