// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <string>

#include "core/base/context.h"
#include "core/base/gate.h"
#include "core/base/identifiers.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/base/testing/matchers.h"
#include "core/base/worker_pool.h"
#include "gtest/gtest.h"

namespace gantry {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;

TEST(StatusTest, WireMessageEndsInTheClassTextOnce) {
  EXPECT_EQ(WireMessage(NotFound("image \"{}\"", "x")), "image \"x\": not found");
  EXPECT_EQ(WireMessage(NotFound("image \"x\": not found")), "image \"x\": not found");
  EXPECT_EQ(WireMessage(Conflict("lease")), "lease: conflict");
  EXPECT_EQ(WireMessage(FailedPrecondition("busy")), "busy: failed precondition");
  EXPECT_EQ(WireMessage(Unknown("odd")), "odd");
  EXPECT_EQ(WireMessage(absl::CancelledError("context canceled")), "context canceled");
}

TEST(StatusTest, AnnotateKeepsTheCode) {
  EXPECT_THAT(Annotate(NotFound("b"), "a"), StatusIs(absl::StatusCode::kNotFound, "a: b"));
  EXPECT_THAT(Annotate(absl::OkStatus(), "a"), IsOk());
}

TEST(StatusTest, DiskTroubleIsNobodysWrongCall) {
  using absl::StatusCode;
  EXPECT_EQ(FromErrno(ENOSPC, "x").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(FromErrno(EDQUOT, "x").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(FromErrno(EIO, "x").code(), StatusCode::kInternal);
  EXPECT_EQ(FromErrno(EROFS, "x").code(), StatusCode::kInternal);
}

TEST(IdentifierTest, FollowsTheGrammar) {
  for (const char* good : {"a", "a.b", "a_b-c.d", "0"})
    EXPECT_THAT(ValidateIdentifier(good), IsOk()) << good;
  for (const char* bad : {"", "-a", "a-", "a..b", "a/b", "a b", "\xc3\xa4", "a\n"}) {
    EXPECT_THAT(ValidateIdentifier(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
  EXPECT_THAT(ValidateIdentifier(std::string(76, 'a')), IsOk());
  EXPECT_THAT(ValidateIdentifier(std::string(77, 'a')),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(LabelsTest, KeyAndValueTogetherAreLimited) {
  EXPECT_THAT(ValidateLabels({{"k", std::string(4095, 'v')}}), IsOk());
  EXPECT_THAT(ValidateLabels({{"k", std::string(4096, 'v')}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ContextTest, TellsDeadlineFromCancellation) {
  std::stop_source source;
  Context ctx{.ns = "default", .stop = source.get_token()};
  EXPECT_THAT(ctx.Check(), IsOk());
  EXPECT_THAT(ctx.WithBudget(-absl::Seconds(1)).Check(),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  source.request_stop();
  EXPECT_THAT(ctx.Check(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(ctx.Detached().Check(), IsOk());
}

TEST(WorkerPoolTest, RefusesWorkBeyondItsBoundAndRunsTheRest) {
  std::atomic<int> ran = 0;
  base::Gate blocker;
  auto pass = blocker.Enter();
  {
    base::WorkerPool pool("test", 1, 2);
    std::atomic<bool> started = false;
    ASSERT_TRUE(pool.TryPost([&] {
      started = true;
      blocker.Close();
      ++ran;
    }));
    while (!started) std::this_thread::yield();
    EXPECT_TRUE(pool.TryPost([&] { ++ran; }));
    EXPECT_TRUE(pool.TryPost([&] { ++ran; }));
    EXPECT_FALSE(pool.TryPost([&] { ++ran; }));
    pass.reset();
  }
  EXPECT_EQ(ran, 3);
}

TEST(GateTest, ClosesOnceEverybodyLeft) {
  base::Gate gate;
  auto pass = gate.Enter();
  ASSERT_TRUE(pass.has_value());
  EXPECT_FALSE(gate.Close(absl::Now()));
  EXPECT_FALSE(gate.Enter().has_value());
  pass.reset();
  EXPECT_TRUE(gate.Close());
}

}  // namespace
}  // namespace gantry
