// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/runtime/task_manager.h"
#include "core/runtime/testing/shim_fixture.h"
#include "proto/types/introspection.pb.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
namespace pb = ::containerd::task::v3;
using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class TaskCreateTest : public testing::ShimFixture {};

TEST_F(TaskCreateTest, TaskOptionsWinUnlessTheyAreEmpty) {
  CreateOptions options = Options();
  options.runtime_options = AnyOf("containerd.runc.v1.Options", "container");
  options.task_options = AnyOf("containerd.runc.v1.Options", "");
  ASSERT_THAT(Create("c1", options), IsOk());
  pb::CreateTaskRequest request;
  ASSERT_TRUE(request.ParseFromString(shim_.LastPayload("Create")));
  EXPECT_EQ(request.options().value(), "container");
  options.task_options = AnyOf("some.other.Options", "task");
  ASSERT_THAT(Create("c2", options), IsOk());
  ASSERT_TRUE(request.ParseFromString(shim_.LastPayload("Create")));
  EXPECT_EQ(request.options().value(), "task");
}

TEST_F(TaskCreateTest, AnIdIsTakenOnce) {
  ASSERT_THAT(Create("c1", Options()), IsOk());
  EXPECT_THAT(Create("c1", Options()),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("task c1")));
  EXPECT_THAT(Create({.ns = "other"}, "c1", Options()), IsOk());
}

TEST_F(TaskCreateTest, ARuntimeThatIsNotInstalledIsNamed) {
  CreateOptions options = Options();
  options.runtime = "io.containerd.absent.v9";
  EXPECT_THAT(Create("c1", options),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("binary not installed")));
  EXPECT_TRUE(NoBundles());
  options.runtime = "nonsense";
  EXPECT_THAT(Create("c1", options), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(TaskCreateTest, AFailedStartLeavesNothing) {
  shim_.WriteProgram("echo cannot start >&2; exit 1");
  EXPECT_THAT(Create("c1", Options()),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("cannot start")));
  EXPECT_TRUE(NoBundles());
  EXPECT_EQ(shim_.Runs("delete"), 0);
  shim_.WriteProgram("printf unix:///nonexistent/socket");
  EXPECT_THAT(Create("c1", Options()), Not(IsOk()));
  EXPECT_TRUE(NoBundles());
  EXPECT_EQ(shim_.Runs("delete"), 1);
}

TEST_F(TaskCreateTest, AFailedCreateIsUndone) {
  shim_.Fail("Create", InvalidArgument("OCI runtime create failed: no such file"));
  shim_.Fail("Delete", NotFound("container not created"));
  EXPECT_THAT(Create("c1", Options()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("OCI runtime create failed")));
  EXPECT_TRUE(NoBundles());
  EXPECT_THAT(shim_.Calls(), ElementsAre("Create", "Delete", "Shutdown"));
  EXPECT_THAT(List(), IsEmpty());
  EXPECT_EQ(NextEvent<::containerd::events::TaskExit>("/tasks/exit", absl::ZeroDuration()),
            std::nullopt);
}

TEST_F(TaskCreateTest, AShimThatDiesInCreateIsCleanedUpAfter) {
  shim_.Freeze("Create");
  auto creating = Async<uint32_t>(
      [&](Done<uint32_t> done) { tasks_->CreateTask(ctx_, "c1", Options(), std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Create") == 1; }));
  shim_.Die();
  EXPECT_THAT(creating.get(), StatusIs(absl::StatusCode::kUnknown, EndsWith("ttrpc: closed")));
  EXPECT_TRUE(NoBundles());
  EXPECT_EQ(shim_.Runs("delete"), 1);
}

TEST_F(TaskCreateTest, ACreateWhoseCallerLeftIsUndone) {
  shim_.Freeze("Create");
  std::stop_source caller;
  Context ctx = ctx_;
  ctx.stop = caller.get_token();
  auto creating = Async<uint32_t>(
      [&](Done<uint32_t> done) { tasks_->CreateTask(ctx, "c1", Options(), std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Create") == 1; }));
  caller.request_stop();
  EXPECT_THAT(creating.get(), StatusIs(absl::StatusCode::kCancelled));
  // The shim goes on with it undisturbed; then it is taken back.
  shim_.Thaw("Create");
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_THAT(shim_.Calls(), ElementsAre("Create", "Delete", "Shutdown"));
  EXPECT_TRUE(Eventually([&] { return Create("c1", Options()).ok(); }));
}

TEST_F(TaskCreateTest, AVersionThatTheShimDoesNotServeIsLowered) {
  testing::FakeShim old(dir_.path() / "old", 2);
  // It says 3, as one that was started by a newer program of its name may.
  old.WriteProgram(R"(printf '{"version":3,"address":"%s","protocol":"ttrpc"}' )" + old.address());
  CreateOptions options = Options();
  options.runtime = old.program().string();
  ASSERT_THAT(Create("c1", options), IsOk());
  EXPECT_THAT(Start("c1"), IsOk());
  std::stringstream bootstrap;
  bootstrap << std::ifstream(BundlePath("c1") / "bootstrap.json").rdbuf();
  EXPECT_THAT(bootstrap.str(), HasSubstr("\"version\":3"));
}

TEST_F(TaskCreateTest, AGrpcShimIsRefusedWithAReason) {
  shim_.WriteProgram(R"(printf '{"version":3,"address":"/run/x","protocol":"grpc"}')");
  EXPECT_THAT(Create("c1", Options()),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("only ttrpc is supported")));
  EXPECT_TRUE(NoBundles());
}

TEST_F(TaskCreateTest, ShiftedMountsNeedARuntimeThatKnowsThem) {
  CreateOptions options = Options();
  options.spec = AnyOf("spec", R"({"mounts": [{"options": ["rbind", "idmap"]}]})");
  ::containerd::types::RuntimeInfo info;
  info.set_name("fake");
  *info.mutable_features() = AnyOf("f", R"({"linux": {"mountExtensions": {}}})");
  std::ofstream(dir_.path() / "info") << info.SerializeAsString();
  // The fake program takes its last argument for the action.
  std::ofstream(shim_.program(), std::ios::app)
      << "\nif [ \"$action\" = -info ]; then cat " << (dir_.path() / "info").string() << "; fi\n";
  EXPECT_THAT(Create("c1", options), StatusIs(absl::StatusCode::kFailedPrecondition,
                                              HasSubstr("idmap mounts not supported")));
  EXPECT_TRUE(NoBundles());
  *info.mutable_features() =
      AnyOf("f", R"({"linux": {"mountExtensions": {"idmap": {"enabled": true}}}})");
  std::ofstream(dir_.path() / "info") << info.SerializeAsString();
  EXPECT_THAT(Create("c1", options), IsOk());
  info.clear_features();
  std::ofstream(dir_.path() / "info") << info.SerializeAsString();
  EXPECT_THAT(Create("c2", options), IsOk());
  EXPECT_EQ(shim_.Runs("-info"), 3);
}

TEST_F(TaskCreateTest, ACheckpointIsFetchedIntoTheTasksOwnDirectory) {
  CreateOptions options = Options();
  fs::path fetched;
  options.fetch_checkpoint = [&](const fs::path& directory) {
    fetched = directory;
    std::ofstream(directory / "pages") << "x";
    return absl::OkStatus();
  };
  ASSERT_THAT(Create("c1", options), IsOk());
  pb::CreateTaskRequest request;
  ASSERT_TRUE(request.ParseFromString(shim_.LastPayload("Create")));
  EXPECT_EQ(request.checkpoint(), fetched);
  EXPECT_TRUE(fs::exists(fetched / "pages"));
  EXPECT_EQ(shim_.CountCalls("Start"), 0U);
  ASSERT_THAT(Delete("c1"), IsOk());
  EXPECT_FALSE(fs::exists(fetched));
  options.fetch_checkpoint = [](const fs::path&) { return DataLoss("broken"); };
  EXPECT_THAT(Create("c1", options), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("broken")));
  EXPECT_TRUE(NoBundles());
}

TEST_F(TaskCreateTest, ATaskRestoredFromAPathRunsAtOnce) {
  CreateOptions options = Options();
  options.checkpoint = "/dump";
  options.prepare_restored = [&](const fs::path& rootfs) {
    EXPECT_EQ(rootfs, BundlePath("c1") / "rootfs");
    return absl::OkStatus();
  };
  ASSERT_THAT(Create("c1", options), IsOkAndHolds(testing::FakeShim::kInitPid));
  EXPECT_TRUE(Eventually([&] { return shim_.CountCalls("Wait") == 1; }));
  EXPECT_THAT(shim_.Calls(), ElementsAre("Create", "Start", "Wait"));
  EXPECT_EQ(Get("c1")->status, Status::kRunning);
  ASSERT_THAT(Delete("c1"), IsOk());
  options.prepare_restored = [](const fs::path&) { return NotFound("no changes"); };
  EXPECT_THAT(Create("c1", options), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(NoBundles());
}

TEST_F(TaskCreateTest, ATaskMayBeStartedAsItIsMade) {
  CreateOptions options = Options();
  options.start = true;
  ASSERT_THAT(Create("c1", options), IsOkAndHolds(testing::FakeShim::kInitPid));
  EXPECT_TRUE(Eventually([&] { return shim_.CountCalls("Wait") == 1; }));
  EXPECT_THAT(shim_.Calls(), ElementsAre("Create", "Start", "Wait"));
  EXPECT_EQ(Get("c1")->status, Status::kRunning);
  ASSERT_THAT(Delete("c1"), IsOk());
}

TEST_F(TaskCreateTest, AShimMayHaveACallForBoth) {
  shim_.ServeFast();
  CreateOptions options = Options();
  ASSERT_THAT(Create("c1", options), IsOk());
  options.start = true;
  ASSERT_THAT(Create("c2", options), IsOkAndHolds(testing::FakeShim::kInitPid));
  EXPECT_TRUE(Eventually([&] { return shim_.CountCalls("Wait") == 2; }));
  EXPECT_EQ(shim_.CountCalls("Create"), 1U);
  EXPECT_EQ(shim_.CountCalls("CreateStart"), 1U);
  EXPECT_EQ(shim_.CountCalls("Start"), 0U);
  pb::CreateTaskRequest request;
  ASSERT_TRUE(request.ParseFromString(shim_.LastPayload("CreateStart")));
  EXPECT_EQ(request.id(), "c2");
  EXPECT_EQ(request.bundle(), BundlePath("c2"));
  EXPECT_EQ(Get("c2")->status, Status::kRunning);
  ASSERT_THAT(Delete("c1"), IsOk());
  ASSERT_THAT(Delete("c2"), IsOk());
}

// As servers written in Rust answer.
TEST_F(TaskCreateTest, AShimMayCallAMissingServiceAnInvalidArgument) {
  shim_.ServeFast();
  shim_.Fail("CreateStart", absl::InvalidArgumentError("gantry.shim.v1.Fast does not exist"));
  CreateOptions options = Options();
  options.start = true;
  ASSERT_THAT(Create("c1", options), IsOk());
  EXPECT_TRUE(Eventually([&] { return shim_.CountCalls("Wait") == 1; }));
  EXPECT_THAT(shim_.Calls(), ElementsAre("CreateStart", "Create", "Start", "Wait"));
  ASSERT_THAT(Delete("c1"), IsOk());
  shim_.Fail("CreateStart", absl::InvalidArgumentError("no such mount"));
  EXPECT_THAT(Create("c1", options), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_TRUE(NoBundles());
}

TEST_F(TaskCreateTest, WhatRunsWhenItsCallerHasLeftIsUndone) {
  shim_.ServeFast();
  shim_.Freeze("CreateStart");
  shim_.Fail("Delete", absl::FailedPreconditionError("it runs"));
  std::stop_source stop;
  Context ctx = ctx_;
  ctx.stop = stop.get_token();
  CreateOptions options = Options();
  options.start = true;
  auto left = Async<uint32_t>(
      [&](Done<uint32_t> done) { tasks_->CreateTask(ctx, "c1", options, std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("CreateStart") == 1; }));
  stop.request_stop();
  EXPECT_THAT(left.get(), StatusIs(absl::StatusCode::kCancelled));
  shim_.Thaw("CreateStart");
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Delete") >= 2; }));
  shim_.Fail("Delete", absl::NotFoundError("container not created"));
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
}

TEST_F(TaskCreateTest, WhatCannotBeStartedAsItIsMadeIsNotLeft) {
  shim_.On("Start", [](const std::string&) { return NotFound("no such program"); });
  CreateOptions options = Options();
  options.start = true;
  EXPECT_THAT(Create("c1", options),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no such program")));
  EXPECT_EQ(shim_.CountCalls("Delete"), 1U);
  EXPECT_THAT(Get("c1"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(NoBundles());
}

}  // namespace
}  // namespace gantry::runtime
