// SPDX-License-Identifier: Apache-2.0
// Processes run for their output, with our shim in one call and with containerd's in several.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "core/runtime/testing/fake_shim.h"
#include "core/runtime/testing/real_container.h"
#include "core/runtime/testing/real_shim_fixture.h"
#include "core/runtime/testing/shim_fixture.h"

namespace gantry::runtime {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;
using testing::ShimKind;

ExecSyncOptions OptionsOf(const std::vector<std::string>& args) {
  ExecSyncOptions options;
  options.spec.set_type_url("types.containerd.io/opencontainers/runtime-spec/1/Process");
  options.spec.set_value(testing::ProcessSpec(args).dump());
  return options;
}

class ExecSyncTest : public testing::RealShimFixture,
                     public ::testing::WithParamInterface<std::tuple<ShimKind, const char*>> {
 protected:
  ExecSyncTest() : RealShimFixture(std::get<0>(GetParam()), std::get<1>(GetParam())) {}

  bool fast() const { return std::string_view(shim_.name) == "gantry"; }

  absl::StatusOr<ExecSyncResult> Run(ExecSyncOptions options) {
    return Run(ctx_, std::move(options));
  }
  absl::StatusOr<ExecSyncResult> Run(const Context& ctx, ExecSyncOptions options) {
    return Sync<ExecSyncResult>([&](Done<ExecSyncResult> done) {
      tasks_->ExecSync(ctx, "c1", std::move(options), std::move(done));
    });
  }

  size_t Processes() {
    const auto pids = Sync<std::vector<ProcessInfo>>(
        [&](Done<std::vector<ProcessInfo>> done) { tasks_->Pids(ctx_, "c1", std::move(done)); });
    EXPECT_THAT(pids, IsOk());
    return pids.ok() ? pids->size() : 0;
  }
  bool OnlyInitIsLeft() {
    return Eventually([&] { return Processes() == 1; });
  }
  // Of what execs make there.
  bool BundleIsClean() {
    return Eventually([&] {
      for (const auto& entry : std::filesystem::directory_iterator(BundlePath("c1"))) {
        const std::string name = entry.path().filename().string();
        if (name.find("sync-") != std::string::npos || name.find("exec-") != std::string::npos)
          return false;
      }
      return true;
    });
  }
};

TEST_P(ExecSyncTest, AnswersWithOutputsAndStatus) {
  CreateAndStart("c1", {"sleep", "1000"});
  for (int round = 0; round < 3; ++round) {
    const auto result = Run(OptionsOf({"sh", "-c", "echo out; echo err >&2; exit 3"}));
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(result->out, "out\n");
    EXPECT_EQ(result->err, "err\n");
    EXPECT_EQ(result->exit.status, 3U);
    EXPECT_GT(result->exit.exited_at, absl::Now() - absl::Minutes(1));
    EXPECT_FALSE(result->timed_out || result->out_truncated || result->err_truncated ||
                 result->output_open);
  }
  EXPECT_TRUE(BundleIsClean());
  const auto added = NextEvent<::containerd::events::TaskExecAdded>(
      "/tasks/exec-added", fast() ? absl::Milliseconds(300) : absl::Seconds(10));
  EXPECT_EQ(added.has_value(), !fast());
}

TEST_P(ExecSyncTest, LongOutputIsCut) {
  CreateAndStart("c1", {"sleep", "1000"});
  ExecSyncOptions options = OptionsOf(
      {"sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; exit 4"});
  options.max_out_bytes = 15;
  const auto result = Run(options);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->out, "0123456789\n0123");
  EXPECT_TRUE(result->out_truncated);
  EXPECT_EQ(result->exit.status, 4U);
}

TEST_P(ExecSyncTest, ATimeoutEndsIt) {
  CreateAndStart("c1", {"sleep", "1000"});
  ExecSyncOptions options = OptionsOf({"sh", "-c", "echo begun; exec sleep 1000"});
  options.timeout = absl::Milliseconds(500);
  const absl::Time start = absl::Now();
  const auto result = Run(options);
  ASSERT_THAT(result, IsOk());
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_TRUE(result->timed_out);
  EXPECT_EQ(result->out, "begun\n");
  EXPECT_EQ(result->exit.status, 137U);
  EXPECT_TRUE(OnlyInitIsLeft());
  EXPECT_TRUE(BundleIsClean());
}

TEST_P(ExecSyncTest, ItEndsWhenItsCallerLeaves) {
  CreateAndStart("c1", {"sleep", "1000"});
  ASSERT_THAT(Run(OptionsOf({"true"})), IsOk());
  std::stop_source stop;
  Context ctx = ctx_;
  ctx.stop = stop.get_token();
  auto left = Async<ExecSyncResult>([&](Done<ExecSyncResult> done) {
    tasks_->ExecSync(ctx, "c1", OptionsOf({"sleep", "1000"}), std::move(done));
  });
  EXPECT_TRUE(Eventually([&] { return Processes() == 2; }));
  stop.request_stop();
  EXPECT_THAT(left.get(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_TRUE(OnlyInitIsLeft());
  ctx = ctx_;
  ctx.deadline = absl::Now() + absl::Milliseconds(300);
  EXPECT_FALSE(Run(ctx, OptionsOf({"sleep", "1000"})).ok());
  EXPECT_TRUE(OnlyInitIsLeft());
  EXPECT_TRUE(BundleIsClean());
}

TEST_P(ExecSyncTest, ADescendantThatKeepsTheOutputIsNotWaitedForForEver) {
  CreateAndStart("c1", {"sleep", "1000"});
  ExecSyncOptions options = OptionsOf({"sh", "-c", "sleep 3 & echo done"});
  options.drain_timeout = absl::Milliseconds(500);
  const auto result = Run(options);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->out, "done\n");
  EXPECT_TRUE(result->output_open);
  EXPECT_FALSE(result->timed_out);
  EXPECT_EQ(result->exit.status, 0U);
}

TEST_P(ExecSyncTest, ErrorsReadAsThoseOfAStart) {
  CreateAndStart("c1", {"sleep", "1000"});
  const auto result = Run(OptionsOf({"no-such-program"}));
  ASSERT_THAT(ExecIn("c1", "e1", {"no-such-program"}), IsOk());
  const auto started = Start("c1", "e1");
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(result.status(), started.status());
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kUnknown, HasSubstr("no-such-program")));
  EXPECT_TRUE(BundleIsClean());
  ASSERT_THAT(DeleteExec("c1", "e1"), IsOk());
}

TEST_P(ExecSyncTest, NothingRunsWithoutAnInitProcess) {
  EXPECT_THAT(Run(OptionsOf({"true"})), StatusIs(absl::StatusCode::kNotFound));
  CreateAndStart("c1", {"sleep", "1000"});
  auto waiting = Wait("c1");
  ASSERT_THAT(Kill("c1", SIGKILL), IsOk());
  ASSERT_THAT(waiting.get(), IsOk());
  EXPECT_THAT(Run(OptionsOf({"true"})), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                 HasSubstr("init process is not running")));
}

INSTANTIATE_TEST_SUITE_P(Shims, ExecSyncTest,
                         ::testing::Combine(::testing::Values(testing::kStockShim,
                                                              testing::kGantryShim),
                                            ::testing::Values("runc", "crun")),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + "_" +
                                  std::get<1>(info.param);
                         });

// A shim that has the service or lacks it, as the test says.
class ProbeTest : public testing::ShimFixture {
 protected:
  absl::StatusOr<ExecSyncResult> Run() {
    return Sync<ExecSyncResult>([&](Done<ExecSyncResult> done) {
      tasks_->ExecSync(ctx_, "c1", OptionsOf({"true"}), std::move(done));
    });
  }
};

TEST_F(ProbeTest, AShimWithoutTheCallIsAskedOnce) {
  shim_.ServeFast();
  shim_.Fail("ExecSync", absl::UnimplementedError("service gantry.shim.v1.Fast"));
  CreateAndStart("c1");
  shim_.On("Start", [&](const std::string& payload) -> testing::FakeShim::Answer {
    ::containerd::task::v3::StartRequest request;
    request.ParseFromString(payload);
    shim_.Exit("c1", 5, request.exec_id());
    ::containerd::task::v3::StartResponse response;
    response.set_pid(1234);
    return response.SerializeAsString();
  });
  for (int round = 0; round < 3; ++round) {
    ExecSyncOptions options = OptionsOf({"true"});
    options.drain_timeout = absl::Milliseconds(10);  // this shim opens no fifos
    const auto result = Sync<ExecSyncResult>([&](Done<ExecSyncResult> done) {
      tasks_->ExecSync(ctx_, "c1", std::move(options), std::move(done));
    });
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(result->exit.status, 5U);
  }
  EXPECT_EQ(shim_.CountCalls("ExecSync"), 1U);
  EXPECT_EQ(shim_.CountCalls("Exec"), 3U);
  EXPECT_TRUE(Eventually([&] { return shim_.CountCalls("Delete") == 3U; }));
}

TEST_F(ProbeTest, OtherErrorsOfTheCallAreTheAnswer) {
  shim_.ServeFast();
  shim_.Fail("ExecSync", absl::FailedPreconditionError("no"));
  CreateAndStart("c1");
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(shim_.CountCalls("ExecSync"), 2U);
  EXPECT_EQ(shim_.CountCalls("Exec"), 0U);
}

}  // namespace
}  // namespace gantry::runtime
