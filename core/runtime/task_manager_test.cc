// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_manager.h"

#include <filesystem>
#include <fstream>

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
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TaskManagerTest : public testing::ShimFixture {};

TEST_F(TaskManagerTest, RunsATaskFromCreateToDelete) {
  CreateOptions options = Options();
  options.stdio = {.in = "/i", .out = "/o", .err = "/e", .terminal = true};
  options.rootfs = {{.type = "overlay", .source = "overlay", .options = {"lowerdir=/a,b", "ro"}}};
  options.runtime_options = AnyOf("containerd.runc.v1.Options", "container");
  EXPECT_THAT(Create("c1", options), IsOkAndHolds(testing::FakeShim::kInitPid));
  EXPECT_EQ(shim_.last_namespace(), "ns");

  pb::CreateTaskRequest request;
  ASSERT_TRUE(request.ParseFromString(shim_.LastPayload("Create")));
  EXPECT_EQ(request.id(), "c1");
  EXPECT_EQ(request.bundle(), BundlePath("c1"));
  EXPECT_EQ(request.stdin(), "/i");
  EXPECT_EQ(request.stdout(), "/o");
  EXPECT_EQ(request.stderr(), "/e");
  EXPECT_TRUE(request.terminal());
  ASSERT_EQ(request.rootfs_size(), 1);
  EXPECT_THAT(request.rootfs(0).options(), ElementsAre("lowerdir=/a,b", "ro"));
  EXPECT_EQ(request.options().value(), "container");

  EXPECT_EQ(Get("c1")->status, Status::kCreated);
  EXPECT_THAT(Start("c1"), IsOkAndHolds(testing::FakeShim::kInitPid));
  const auto state = Get("c1");
  ASSERT_THAT(state, IsOk());
  EXPECT_EQ(state->status, Status::kRunning);
  EXPECT_EQ(state->pid, testing::FakeShim::kInitPid);
  EXPECT_EQ(state->stdio.out, "/o");
  auto waiting = Wait("c1");
  shim_.Exit("c1", 7);
  EXPECT_EQ(waiting.get()->status, 7U);
  EXPECT_EQ(Get("c1")->status, Status::kStopped);
  const auto exit = Delete("c1");
  ASSERT_THAT(exit, IsOk());
  EXPECT_EQ(exit->status, 7U);
  EXPECT_EQ(exit->exited_at, absl::FromUnixSeconds(1'700'000'000));
  EXPECT_THAT(Get("c1"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("task c1 not found")));
  EXPECT_TRUE(NoBundles());
  EXPECT_EQ(shim_.Runs("start"), 1);
  EXPECT_EQ(shim_.Runs("delete"), 0);
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
}

TEST_F(TaskManagerTest, WhatIsKnownIsNotAskedOfTheShim) {
  CreateAndStart("c1");
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Get("c1"), IsOk());
    EXPECT_EQ(List().size(), 1U);
  }
  EXPECT_EQ(shim_.CountCalls("State"), 0U);
}

TEST_F(TaskManagerTest, ExecsLiveFromExecToDelete) {
  CreateAndStart("c1");
  EXPECT_THAT(Exec("c1", {.exec_id = ""}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Exec("c1", {.exec_id = "a/b"}), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_THAT(Exec("c1", {.exec_id = "e1", .stdio = {.out = "/x"}, .spec = AnyOf("p", "{}")}),
              IsOk());
  pb::ExecProcessRequest request;
  ASSERT_TRUE(request.ParseFromString(shim_.LastPayload("Exec")));
  EXPECT_EQ(request.exec_id(), "e1");
  EXPECT_EQ(request.stdout(), "/x");
  EXPECT_EQ(request.spec().value(), "{}");
  auto waiting = Wait("c1", "e1");
  EXPECT_THAT(Start("c1", "e1"), IsOkAndHolds(testing::FakeShim::kInitPid + 1));
  shim_.Exit("c1", 3, "e1");
  const auto exit = waiting.get();
  ASSERT_THAT(exit, IsOk());
  EXPECT_EQ(exit->status, 3U);
  const auto state = Get("c1", "e1");
  ASSERT_THAT(state, IsOk());
  EXPECT_EQ(state->status, Status::kStopped);
  EXPECT_EQ(state->id, "e1");
  EXPECT_EQ(state->exit_status, 3U);
  EXPECT_THAT(DeleteExec("c1", "e1"), IsOk());
  EXPECT_EQ(Get("c1")->status, Status::kRunning);
}

TEST_F(TaskManagerTest, ErrorsOfTheShimKeepCodeAndText) {
  CreateAndStart("c1");
  shim_.Fail("Exec", AlreadyExists("id e1"));
  EXPECT_THAT(Exec("c1", {.exec_id = "e1"}),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("id e1")));
  shim_.Fail("Kill", NotFound("process already finished"));
  EXPECT_THAT(Kill("c1", 15),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("process already finished")));
  shim_.Fail("Wait", NotFound("process does not exist e9"));
  EXPECT_THAT(Wait("c1", "e9").get(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(TaskManagerTest, AStoppedTaskIsNotSignalled) {
  CreateAndStart("c1");
  shim_.Exit("c1", 0);
  ASSERT_THAT(Wait("c1").get(), IsOk());
  EXPECT_THAT(Kill("c1", 9),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("process already finished")));
  EXPECT_EQ(shim_.CountCalls("Kill"), 0U);
  EXPECT_THAT(Kill("c1", 9, "", /*all=*/true), IsOk());
  EXPECT_EQ(shim_.CountCalls("Kill"), 1U);
}

TEST_F(TaskManagerTest, ARunningTaskIsNotDeleted) {
  CreateAndStart("c1");
  shim_.Fail("Delete", Unknown("cannot delete a running process"));
  EXPECT_THAT(Delete("c1"), StatusIs(absl::StatusCode::kFailedPrecondition,
                                     HasSubstr("cannot delete a running process")));
  EXPECT_EQ(Get("c1")->status, Status::kRunning);
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 0U);
  EXPECT_TRUE(fs::exists(BundlePath("c1")));
}

TEST_F(TaskManagerTest, ADeleteThatTheShimKnowsNothingOfStillEndsTheShim) {
  CreateAndStart("c1");
  shim_.Fail("Delete", NotFound("container not created"));
  EXPECT_THAT(Delete("c1"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
  EXPECT_TRUE(NoBundles());
  EXPECT_THAT(List(), IsEmpty());
}

TEST_F(TaskManagerTest, ASecondDeleteJoinsTheFirst) {
  CreateAndStart("c1");
  shim_.Freeze("Delete");
  std::stop_source caller;
  Context impatient = ctx_;
  impatient.stop = caller.get_token();
  auto first =
      Async<Exit>([&](Done<Exit> done) { tasks_->Delete(impatient, "c1", std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Delete") == 1; }));
  caller.request_stop();
  EXPECT_THAT(first.get(), StatusIs(absl::StatusCode::kCancelled));
  auto second = Async<Exit>([&](Done<Exit> done) { tasks_->Delete(ctx_, "c1", std::move(done)); });
  EXPECT_EQ(List().size(), 1U);
  shim_.Thaw("Delete");
  EXPECT_THAT(second.get(), IsOk());
  EXPECT_EQ(shim_.CountCalls("Delete"), 1U);
  EXPECT_TRUE(NoBundles());
}

TEST_F(TaskManagerTest, ClosingInsteadOfAnsweringShutdownIsSuccess) {
  CreateAndStart("c1");
  shim_.On("Shutdown", [](const std::string&) { return Unknown("ttrpc: closed"); });
  EXPECT_THAT(Delete("c1"), IsOk());
  EXPECT_TRUE(NoBundles());
}

TEST_F(TaskManagerTest, AHundredWaitersCostTheShimOneCall) {
  CreateAndStart("c1");
  std::vector<std::future<absl::StatusOr<Exit>>> waiting;
  for (int i = 0; i < 100; ++i) waiting.push_back(Wait("c1"));
  shim_.Exit("c1", 42);
  for (auto& wait : waiting) EXPECT_EQ(wait.get()->status, 42U);
  EXPECT_EQ(shim_.CountCalls("Wait"), 1U);
  EXPECT_EQ(Wait("c1").get()->status, 42U);
}

TEST_F(TaskManagerTest, AWaiterMayLeave) {
  CreateAndStart("c1");
  std::stop_source caller;
  Context ctx = ctx_;
  ctx.stop = caller.get_token();
  auto waiting =
      Async<Exit>([&](Done<Exit> done) { tasks_->Wait(ctx, "c1", "", std::move(done)); });
  caller.request_stop();
  EXPECT_THAT(waiting.get(), StatusIs(absl::StatusCode::kCancelled));
  ctx = ctx_.WithBudget(absl::Milliseconds(20));
  EXPECT_THAT(Sync<Exit>([&](Done<Exit> done) { tasks_->Wait(ctx, "c1", "", std::move(done)); }),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(TaskManagerTest, PauseAndResumeAreRemembered) {
  CreateAndStart("c1");
  EXPECT_THAT(
      Sync<Nothing>([&](Done<Nothing> done) { tasks_->Pause(ctx_, "c1", std::move(done)); }),
      IsOk());
  EXPECT_EQ(Get("c1")->status, Status::kPaused);
  EXPECT_THAT(
      Sync<Nothing>([&](Done<Nothing> done) { tasks_->Resume(ctx_, "c1", std::move(done)); }),
      IsOk());
  EXPECT_EQ(Get("c1")->status, Status::kRunning);
}

TEST_F(TaskManagerTest, TheRestOfTheTaskApiGoesStraightThrough) {
  CreateAndStart("c1");
  const auto change = [&](auto call) { return Sync<Nothing>(call).status(); };
  EXPECT_THAT(change([&](Done<Nothing> done) {
                tasks_->ResizePty(ctx_, "c1", "e", {.width = 80, .height = 25}, std::move(done));
              }),
              IsOk());
  pb::ResizePtyRequest resize;
  ASSERT_TRUE(resize.ParseFromString(shim_.LastPayload("ResizePty")));
  EXPECT_EQ(resize.width(), 80U);
  EXPECT_EQ(resize.exec_id(), "e");
  EXPECT_THAT(
      change([&](Done<Nothing> done) { tasks_->CloseIo(ctx_, "c1", "e", std::move(done)); }),
      IsOk());
  pb::CloseIORequest close;
  ASSERT_TRUE(close.ParseFromString(shim_.LastPayload("CloseIO")));
  EXPECT_TRUE(close.stdin());
  shim_.Fail("CloseIO", Unknown("process does not exist e: not found"));
  EXPECT_THAT(
      change([&](Done<Nothing> done) { tasks_->CloseIo(ctx_, "c1", "e", std::move(done)); }),
      StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(change([&](Done<Nothing> done) {
                tasks_->Update(ctx_, "c1", AnyOf("r", "{}"), {{"a", "b"}}, std::move(done));
              }),
              IsOk());
  pb::UpdateTaskRequest update;
  ASSERT_TRUE(update.ParseFromString(shim_.LastPayload("Update")));
  EXPECT_EQ(update.annotations().at("a"), "b");
  EXPECT_THAT(change([&](Done<Nothing> done) {
                tasks_->Checkpoint(ctx_, "c1", {.path = "/dump", .runtime = AnyOf("o", "v")},
                                   std::move(done));
              }),
              IsOk());
  pb::CheckpointTaskRequest checkpoint;
  ASSERT_TRUE(checkpoint.ParseFromString(shim_.LastPayload("Checkpoint")));
  EXPECT_EQ(checkpoint.path(), "/dump");
  shim_.On("Pids", [](const std::string&) -> testing::FakeShim::Answer {
    pb::PidsResponse pids;
    pids.add_processes()->set_pid(1);
    auto* exec = pids.add_processes();
    exec->set_pid(2);
    *exec->mutable_info() = AnyOf("containerd.runc.v1.ProcessDetails", "e");
    return pids.SerializeAsString();
  });
  const auto pids = Sync<std::vector<ProcessInfo>>(
      [&](Done<std::vector<ProcessInfo>> done) { tasks_->Pids(ctx_, "c1", std::move(done)); });
  ASSERT_THAT(pids, IsOk());
  ASSERT_EQ(pids->size(), 2U);
  EXPECT_FALSE((*pids)[0].info.has_value());
  EXPECT_EQ((*pids)[1].info->value(), "e");
}

TEST_F(TaskManagerTest, UnknownTasksAreNotFound) {
  EXPECT_THAT(Start("absent"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Delete("absent"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Get("absent"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Kill("absent", 9), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Wait("absent").get(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Exec("absent", {.exec_id = "e"}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(List(), IsEmpty());
}

TEST_F(TaskManagerTest, MetricsComeFromTheShimWhereItsCgroupIsItsOwnBusiness) {
  CreateAndStart("c1");
  CreateAndStart("c2");
  shim_.On("Stats", [](const std::string& payload) -> testing::FakeShim::Answer {
    pb::StatsRequest request;
    request.ParseFromString(payload);
    if (request.id() == "c2") return NotFound("cgroup does not exist");
    pb::StatsResponse response;
    *response.mutable_stats() = AnyOf("io.containerd.cgroups.v2.Metrics", "m");
    return response.SerializeAsString();
  });
  const auto metrics = Sync<std::vector<TaskMetric>>([&](Done<std::vector<TaskMetric>> done) {
    tasks_->Metrics(
        ctx_, [](const std::string&) { return true; }, std::move(done));
  });
  ASSERT_THAT(metrics, IsOk());
  ASSERT_EQ(metrics->size(), 1U);
  EXPECT_EQ((*metrics)[0].id, "c1");
  EXPECT_EQ((*metrics)[0].data.value(), "m");
}

// A shim that answers nothing costs its own callers their patience, and nobody else anything.
TEST_F(TaskManagerTest, AFrozenShimDelaysNobodyElse) {
  testing::FakeShim other(dir_.path() / "other");
  CreateOptions options = Options();
  options.runtime = other.program().string();
  CreateAndStart("c1");
  for (const char* method : {"Kill", "State", "Pids", "Delete"}) shim_.Freeze(method);
  auto stuck = Async<Nothing>([&](Done<Nothing> done) {
    tasks_->Kill(ctx_.WithBudget(absl::Milliseconds(100)), "c1", {.signal = 9}, std::move(done));
  });
  const absl::Time start = absl::Now();
  ASSERT_THAT(Create("c2", options), IsOk());
  ASSERT_THAT(Start("c2"), IsOk());
  EXPECT_EQ(List().size(), 2U);
  EXPECT_THAT(Get("c1"), IsOk());
  ASSERT_THAT(Delete("c2"), IsOk());
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
  EXPECT_THAT(stuck.get(), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(TaskManagerTest, CallsToOneShimAreBoundedAndOthersAreNotRefused) {
  testing::FakeShim other(dir_.path() / "other");
  CreateOptions options = Options();
  options.runtime = other.program().string();
  CreateAndStart("c1");
  ASSERT_THAT(Create("c2", options), IsOk());
  shim_.Freeze("Kill");
  std::vector<std::future<absl::StatusOr<Nothing>>> calls;
  for (size_t i = 0; i < ShimConnection::kMaxCalls; ++i) {
    calls.push_back(Async<Nothing>(
        [&](Done<Nothing> done) { tasks_->Kill(ctx_, "c1", {.signal = 1}, std::move(done)); }));
  }
  EXPECT_THAT(Kill("c1", 1), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Kill("c2", 1), IsOk());
  shim_.Thaw("Kill");
  for (auto& call : calls) EXPECT_THAT(call.get(), IsOk());
}

TEST_F(TaskManagerTest, AnAnswerThatDoesNotParseIsAnError) {
  CreateAndStart("c1");
  shim_.On("Pids", [](const std::string&) { return std::string("\xff\xff\xff"); });
  EXPECT_THAT(Sync<std::vector<ProcessInfo>>([&](Done<std::vector<ProcessInfo>> done) {
                tasks_->Pids(ctx_, "c1", std::move(done));
              }),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("Pids")));
}

TEST_F(TaskManagerTest, ARequestThatIsTooLargeIsRefusedAndTheShimStaysUsable) {
  CreateAndStart("c1");
  EXPECT_THAT(Exec("c1", {.exec_id = "e", .spec = AnyOf("p", std::string(5 << 20, 'x'))}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Kill("c1", 1), IsOk());
}

TEST_F(TaskManagerTest, RuntimeInfoComesFromTheProgram) {
  ::containerd::types::RuntimeInfo info;
  info.set_name("fake");
  std::ofstream(dir_.path() / "info") << info.SerializeAsString();
  std::ofstream(shim_.program(), std::ios::app)
      << "\nif [ \"$action\" = -info ]; then cat " << (dir_.path() / "info").string() << "; fi\n";
  const auto got = Sync<::containerd::types::RuntimeInfo>([&](auto done) {
    tasks_->GetRuntimeInfo(ctx_, shim_.program().string(), std::nullopt, std::move(done));
  });
  ASSERT_THAT(got, IsOk());
  EXPECT_EQ(got->name(), "fake");
}

}  // namespace
}  // namespace gantry::runtime
