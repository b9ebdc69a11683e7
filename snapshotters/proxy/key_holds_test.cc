// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/proxy/key_holds.h"

#include <optional>
#include <stop_token>
#include <utility>

#include "core/base/testing/matchers.h"
#include "gtest/gtest.h"

namespace gantry::proxy {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using How = KeyHolds::Want::How;
using Code = absl::StatusCode;

class KeyHoldsTest : public ::testing::Test {
 protected:
  std::optional<absl::Status>& Acquire(std::optional<absl::Status>& outcome, How how,
                                       const Context& ctx = {}) {
    holds_.Acquire(ctx, {{.key = key_, .how = how}},
                   [&outcome](absl::Status status) { outcome = std::move(status); });
    return outcome;
  }

  const KeyHolds::Key key_ = {"ns", "key"};
  KeyHolds holds_{[](absl::AnyInvocable<void()> work) { std::move(work)(); }, absl::Minutes(1)};
};

TEST_F(KeyHoldsTest, OneHoldsAndTheOthersFollowInTheirOrder) {
  std::optional<absl::Status> first, second, question, third;
  EXPECT_TRUE(Acquire(first, How::kHold).has_value());
  EXPECT_FALSE(Acquire(second, How::kHold).has_value());
  EXPECT_FALSE(Acquire(third, How::kFree).has_value());
  EXPECT_TRUE(Acquire(question, How::kSettled).has_value());
  holds_.Release({key_});
  EXPECT_TRUE(second.has_value());
  EXPECT_FALSE(third.has_value());
  holds_.Release({key_});
  ASSERT_TRUE(third.has_value());
  EXPECT_THAT(*third, IsOk());
}

TEST_F(KeyHoldsTest, AnUnsettledKeyHoldsUpQuestionsToo) {
  holds_.MarkUnsettled({key_});
  std::optional<absl::Status> question;
  EXPECT_FALSE(Acquire(question, How::kSettled).has_value());
  holds_.Release({key_});
  EXPECT_TRUE(question.has_value());
}

TEST_F(KeyHoldsTest, WaitersGoWhenTheirCallEndsOrPatienceDoes) {
  KeyHolds impatient([](absl::AnyInvocable<void()> work) { std::move(work)(); },
                     absl::ZeroDuration());
  impatient.MarkUnsettled({key_});
  holds_.MarkUnsettled({key_});
  std::optional<absl::Status> patience, cancelled, late;
  impatient.Acquire({}, {{.key = key_}}, [&](absl::Status status) { patience = status; });
  std::stop_source stop;
  Acquire(cancelled, How::kSettled, {.stop = stop.get_token()});
  Acquire(late, How::kSettled, {.deadline = absl::Now() - absl::Seconds(1)});
  stop.request_stop();
  impatient.Expire();
  holds_.Expire();
  EXPECT_THAT(*patience, StatusIs(Code::kUnavailable));
  EXPECT_THAT(*cancelled, StatusIs(Code::kCancelled));
  EXPECT_THAT(*late, StatusIs(Code::kDeadlineExceeded));
}

TEST_F(KeyHoldsTest, AfterCloseNobodyWaits) {
  holds_.MarkUnsettled({key_});
  std::optional<absl::Status> before, after;
  Acquire(before, How::kFree);
  holds_.Close();
  Acquire(after, How::kFree);
  EXPECT_THAT(*before, StatusIs(Code::kUnavailable));
  EXPECT_THAT(*after, StatusIs(Code::kUnavailable));
}

}  // namespace
}  // namespace gantry::proxy
