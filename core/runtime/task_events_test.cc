// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_events.h"

#include "core/runtime/testing/shim_fixture.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::task::v3;
using ::gantry::testing::IsOk;

// What State answers of an init process.
testing::FakeShim::Script StateOf(::containerd::v1::types::Status status) {
  return [status](const std::string& payload) -> testing::FakeShim::Answer {
    pb::StateRequest request;
    request.ParseFromString(payload);
    pb::StateResponse response;
    response.set_id(request.id());
    response.set_pid(testing::FakeShim::kInitPid);
    response.set_status(status);
    return response.SerializeAsString();
  };
}

class TaskEventsTest : public testing::ShimFixture {};

TEST_F(TaskEventsTest, AnExitIsKnownOnceItIsAnnounced) {
  CreateAndStart("c1");
  auto waiting = Wait("c1");
  ::containerd::events::TaskExit event;
  event.set_container_id("c1");
  event.set_id("c1");
  event.set_pid(testing::FakeShim::kInitPid);
  event.set_exit_status(9);
  ASSERT_THAT(Forward("/tasks/exit", event), IsOk());
  EXPECT_EQ(waiting.get()->status, 9U);
  EXPECT_EQ(Get("c1")->exit_status, 9U);
  EXPECT_TRUE(NextEvent<::containerd::events::TaskExit>("/tasks/exit").has_value());
  // A second announcement is dropped.
  ASSERT_THAT(Forward("/tasks/exit", event), IsOk());
  EXPECT_EQ(NextEvent<::containerd::events::TaskExit>("/tasks/exit", absl::Milliseconds(20)),
            std::nullopt);
}

TEST_F(TaskEventsTest, ALateAnnouncementOfAnEarlierProcessOfThatIdEndsNothing) {
  CreateAndStart("c1");
  auto waiting = Wait("c1");
  ::containerd::events::TaskExit event;
  event.set_container_id("c1");
  event.set_id("c1");
  event.set_pid(testing::FakeShim::kInitPid - 1);
  event.set_exit_status(9);
  ASSERT_THAT(Forward("/tasks/exit", event), IsOk());
  EXPECT_EQ(Get("c1")->status, Status::kRunning);
  shim_.Exit("c1", 3);
  EXPECT_EQ(waiting.get()->status, 3U);
}

TEST_F(TaskEventsTest, AnnouncementsOfUnknownTasksPass) {
  ::containerd::events::TaskExit event;
  event.set_container_id("absent");
  event.set_id("absent");
  ASSERT_THAT(Forward("/tasks/exit", event), IsOk());
  EXPECT_TRUE(NextEvent<::containerd::events::TaskExit>("/tasks/exit").has_value());
}

TEST_F(TaskEventsTest, WhatTheShimDoesOfItselfIsLearntFromItsAnnouncement) {
  CreateAndStart("c1");
  shim_.On("State", StateOf(::containerd::v1::types::PAUSED));
  ::containerd::events::TaskPaused event;
  event.set_container_id("c1");
  ASSERT_THAT(Forward("/tasks/paused", event), IsOk());
  EXPECT_TRUE(Eventually([&] { return Get("c1")->status == Status::kPaused; }));
  shim_.On("State", StateOf(::containerd::v1::types::RUNNING));
  ::containerd::events::TaskResumed resumed;
  resumed.set_container_id("c1");
  ASSERT_THAT(Forward("/tasks/resumed", resumed), IsOk());
  EXPECT_TRUE(Eventually([&] { return Get("c1")->status == Status::kRunning; }));
}

TEST_F(TaskEventsTest, AnAnnouncementThatComesLateChangesNothing) {
  CreateAndStart("c1");
  const auto resume = [&] {
    return Sync<Nothing>([&](Done<Nothing> done) { tasks_->Resume(ctx_, "c1", std::move(done)); });
  };
  ASSERT_THAT(resume(), IsOk());
  ::containerd::events::TaskPaused paused;
  paused.set_container_id("c1");
  ASSERT_THAT(Forward("/tasks/paused", paused), IsOk());
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("State") == 1; }));
  EXPECT_EQ(Get("c1")->status, Status::kRunning);

  // The answer to a question that is older than what another call told.
  shim_.On("State", StateOf(::containerd::v1::types::PAUSED));
  shim_.Freeze("State");
  ASSERT_THAT(Forward("/tasks/paused", paused), IsOk());
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("State") == 2; }));
  ASSERT_THAT(resume(), IsOk());
  shim_.Thaw("State");
  ASSERT_THAT(resume(), IsOk());  // on the same connection: the answer before is in
  EXPECT_EQ(Get("c1")->status, Status::kRunning);
}

TEST_F(TaskEventsTest, AnEarlierProcesssStartIsNotThisOnes) {
  ASSERT_THAT(Create("c1", Options()), IsOk());
  ::containerd::events::TaskStart event;
  event.set_container_id("c1");
  event.set_pid(testing::FakeShim::kInitPid - 1);
  ASSERT_THAT(Forward("/tasks/start", event), IsOk());
  auto state = Get("c1");
  EXPECT_EQ(state->status, Status::kCreated);
  EXPECT_EQ(state->pid, testing::FakeShim::kInitPid);
  event.set_pid(testing::FakeShim::kInitPid);
  ASSERT_THAT(Forward("/tasks/start", event), IsOk());
  EXPECT_EQ(Get("c1")->status, Status::kRunning);

  // The same of an exec: its exit is known by its own pid.
  ASSERT_THAT(Exec("c1", {.exec_id = "e1"}), IsOk());
  ASSERT_THAT(Start("c1", "e1"), IsOk());
  ::containerd::events::TaskExecStarted started;
  started.set_container_id("c1");
  started.set_exec_id("e1");
  started.set_pid(99);
  ASSERT_THAT(Forward("/tasks/exec-started", started), IsOk());
  ::containerd::events::TaskExit exit;
  exit.set_container_id("c1");
  exit.set_id("e1");
  exit.set_pid(testing::FakeShim::kInitPid + 1);
  exit.set_exit_status(5);
  *exit.mutable_exited_at() = TimeToProto(absl::Now());
  ASSERT_THAT(Forward("/tasks/exit", exit), IsOk());
  state = Get("c1", "e1");
  EXPECT_EQ(state->status, Status::kStopped);
  EXPECT_EQ(state->exit_status, 5U);
}

TEST_F(TaskEventsTest, AnEarlierProcesssExitIsNotThisOnesWhosePidIsNotKnownYet) {
  CreateAndStart("c1");
  ::containerd::events::TaskExit exit;
  exit.set_container_id("c1");
  exit.set_id("e1");
  exit.set_pid(99);
  exit.set_exit_status(9);
  *exit.mutable_exited_at() = TimeToProto(absl::Now());
  ASSERT_THAT(Exec("c1", {.exec_id = "e1"}), IsOk());
  ASSERT_THAT(Forward("/tasks/exit", exit), IsOk());
  ASSERT_THAT(Start("c1", "e1"), IsOk());
  EXPECT_EQ(Get("c1", "e1")->status, Status::kRunning);

  shim_.Freeze("Create");
  auto creating = Async<uint32_t>(
      [&](Done<uint32_t> done) { tasks_->CreateTask(ctx_, "c2", Options(), std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Create") == 2; }));
  exit.set_container_id("c2");
  exit.set_id("c2");
  ASSERT_THAT(Forward("/tasks/exit", exit), IsOk());
  shim_.Thaw("Create");
  ASSERT_THAT(creating.get(), IsOk());
  EXPECT_EQ(Get("c2")->status, Status::kCreated);
}

TEST_F(TaskEventsTest, AStatusThatNobodyKnowsIsUnknown) {
  pb::StateResponse state;
  state.set_status(static_cast<::containerd::v1::types::Status>(6));
  EXPECT_EQ(FromProto("c1", state).status, Status::kUnknown);
  state.set_status(::containerd::v1::types::PAUSING);
  EXPECT_EQ(FromProto("c1", state).status, Status::kPausing);
}

}  // namespace
}  // namespace gantry::runtime
