// SPDX-License-Identifier: Apache-2.0
// What a new daemon makes of the tasks that the one before left.
#include <filesystem>
#include <fstream>

#include "core/containers/container_store.h"
#include "core/runtime/testing/shim_fixture.h"
#include "core/sandbox/sandbox_store.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
namespace pb = ::containerd::task::v3;
using ::containerd::events::TaskDelete;
using ::containerd::events::TaskExit;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RestartTest : public testing::ShimFixture {
 protected:
  // What the shim says of a process that ended while nobody listened.
  void Stop(const std::string& id, uint32_t status) {
    shim_.On("State", [status](const std::string& payload) -> testing::FakeShim::Answer {
      pb::StateRequest request;
      request.ParseFromString(payload);
      pb::StateResponse response;
      response.set_id(request.id());
      response.set_pid(testing::FakeShim::kInitPid);
      response.set_status(::containerd::v1::types::STOPPED);
      response.set_exit_status(status);
      response.mutable_exited_at()->set_seconds(1'700'000'000);
      return response.SerializeAsString();
    });
    shim_.Exit(id, status);
  }
  Bundle MakeBundle(const std::string& id) {
    auto bundle = Bundle::Create(roots_, ctx_.ns, id, "{}");
    EXPECT_THAT(bundle, IsOk());
    return *std::move(bundle);
  }
};

TEST_F(RestartTest, RunningTasksAreThereAgain) {
  CreateAndStart("c1");
  RestartManager();
  const auto state = Get("c1");
  ASSERT_THAT(state, IsOk());
  EXPECT_EQ(state->status, Status::kRunning);
  EXPECT_EQ(state->pid, testing::FakeShim::kInitPid);
  EXPECT_EQ(state->stdio.out, "/fifo/out");
  EXPECT_EQ(List().size(), 1U);
  EXPECT_EQ(shim_.Runs("start"), 1);
  EXPECT_EQ(shim_.Runs("delete"), 0);
  auto waiting = Wait("c1");
  shim_.Exit("c1", 4);
  EXPECT_EQ(waiting.get()->status, 4U);
  EXPECT_THAT(Delete("c1"), IsOk());
  EXPECT_TRUE(NoBundles());
}

TEST_F(RestartTest, AnExitMeanwhileIsReportedOnceWithItsStatus) {
  CreateAndStart("c1");
  StopManager();
  timeouts_.announce_exit = absl::Milliseconds(100);
  Stop("c1", 7);
  StartManager();
  EXPECT_EQ(Get("c1")->status, Status::kStopped);
  EXPECT_EQ(Get("c1")->exit_status, 7U);
  EXPECT_EQ(Wait("c1").get()->status, 7U);
  const auto exit = NextEvent<TaskExit>("/tasks/exit");
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->exit_status(), 7U);
  EXPECT_EQ(exit->pid(), testing::FakeShim::kInitPid);
  EXPECT_EQ(exit->exited_at().seconds(), 1'700'000'000);
  // Nor does the daemon after the next announce it again.
  ASSERT_TRUE(Eventually([&] { return fs::exists(BundlePath("c1") / "exited"); }));
  RestartManager();
  EXPECT_EQ(Get("c1")->exit_status, 7U);
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::Milliseconds(300)), std::nullopt);
  EXPECT_THAT(Delete("c1"), IsOk());
}

TEST_F(RestartTest, TheShimsOwnAnnouncementComesFirstIfItComes) {
  CreateAndStart("c1");
  StopManager();
  timeouts_.announce_exit = absl::Milliseconds(200);
  Stop("c1", 7);
  StartManager();
  EXPECT_EQ(Get("c1")->status, Status::kStopped);
  TaskExit event;
  event.set_container_id("c1");
  event.set_id("c1");
  event.set_exit_status(7);
  ASSERT_THAT(Forward("/tasks/exit", event), IsOk());
  EXPECT_TRUE(NextEvent<TaskExit>("/tasks/exit").has_value());
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::Milliseconds(400)), std::nullopt);
}

TEST_F(RestartTest, AMissedExitIsAnnouncedBeforeTheTaskGoes) {
  CreateAndStart("c1");
  StopManager();
  Stop("c1", 7);
  StartManager();
  ASSERT_THAT(Delete("c1"), IsOk());
  const auto exit = NextEvent<TaskExit>("/tasks/exit", absl::ZeroDuration());
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->exit_status(), 7U);
}

TEST_F(RestartTest, AShimThatDiedMeanwhileIsCleanedUpAfter) {
  CreateAndStart("c1");
  StopManager();
  shim_.Die();
  StartManager();
  const auto exit = NextEvent<TaskExit>("/tasks/exit");
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->exit_status(), 137U);
  EXPECT_TRUE(NextEvent<TaskDelete>("/tasks/delete").has_value());
  EXPECT_TRUE(NoBundles());
  EXPECT_THAT(Get("c1"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RestartTest, AShimThatCannotBeReachedForNowIsTriedAgain) {
  CreateAndStart("c1");
  StopManager();
  const fs::path log = BundlePath("c1") / "log";
  fs::remove(log);
  fs::create_directories(log);  // opening it fails, as it would without a free descriptor
  StartManager();
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::Milliseconds(300)), std::nullopt);
  EXPECT_TRUE(fs::exists(BundlePath("c1")));
  fs::remove(log);  // it is made anew
  EXPECT_TRUE(Eventually([&] { return Get("c1").ok(); }));
  EXPECT_EQ(Get("c1")->status, Status::kRunning);
}

TEST_F(RestartTest, AnExitThatWasAnnouncedStaysWhatItWas) {
  CreateAndStart("c1");
  TaskExit event;
  event.set_container_id("c1");
  event.set_id("c1");
  event.set_exit_status(3);
  ASSERT_THAT(Forward("/tasks/exit", event), IsOk());
  ASSERT_TRUE(NextEvent<TaskExit>("/tasks/exit").has_value());
  StopManager();
  shim_.Die();
  StartManager();
  const auto deleted = NextEvent<TaskDelete>("/tasks/delete");
  ASSERT_TRUE(deleted.has_value());
  EXPECT_EQ(deleted->exit_status(), 3U);
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::ZeroDuration()), std::nullopt);
}

TEST_F(RestartTest, WhoAsksForATaskThatIsBeingUndoneLearnsThatThereIsNone) {
  StopManager();
  const fs::path program = dir_.path() / "slow-shim";
  std::ofstream(program) << "#!/bin/sh\nsleep 0.5\nexit 1\n";
  fs::permissions(program, fs::perms::owner_all);
  ASSERT_THAT(MakeBundle("late").WriteShimBinary(program), IsOk());
  StartManager();
  EXPECT_THAT(Kill("late", 9), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
}

TEST_F(RestartTest, AFrozenShimDelaysNeitherTheStartNorOthers) {
  testing::FakeShim other(dir_.path() / "other");
  CreateAndStart("c1");
  CreateOptions options = Options();
  options.runtime = other.program().string();
  ASSERT_THAT(Create("c2", options), IsOk());
  StopManager();
  shim_.Freeze("Connect");
  timeouts_.load = absl::Milliseconds(300);
  timeouts_.state = absl::Milliseconds(200);
  std::ofstream(BundlePath("c1") / "init.pid") << "4711";

  const absl::Time start = absl::Now();
  StartManager();
  EXPECT_THAT(Get("c2"), IsOk());
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_THAT(Get("c1"), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("does not answer")));
  const std::vector<ProcessState> states = List();
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].id, "c1");
  EXPECT_EQ(states[0].status, Status::kUnknown);
  EXPECT_EQ(states[0].pid, 4711U);
  EXPECT_EQ(states[1].status, Status::kRunning);
  // Its container was left alone, and it is back once the shim is.
  EXPECT_EQ(shim_.Runs("delete"), 0);
  shim_.Thaw("Connect");
  EXPECT_TRUE(Eventually([&] { return Get("c1").ok(); }));
  EXPECT_THAT(Delete("c1"), IsOk());
}

TEST_F(RestartTest, AFrozenShimThatDiesIsCleanedUpAfter) {
  CreateAndStart("c1");
  StopManager();
  shim_.Freeze("Connect");
  StartManager();
  ASSERT_TRUE(Eventually([&] { return List().size() == 1; }));
  shim_.Die();
  EXPECT_TRUE(NextEvent<TaskExit>("/tasks/exit").has_value());
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
}

TEST_F(RestartTest, ACreateThatWasNotAnsweredIsUndone) {
  shim_.Freeze("Create");
  std::stop_source caller;
  Context ctx = ctx_;
  ctx.stop = caller.get_token();
  auto creating = Async<uint32_t>(
      [&](Done<uint32_t> done) { tasks_->CreateTask(ctx, "c1", Options(), std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Create") == 1; }));
  // The daemon ends in the middle. The shim finishes what it was told.
  caller.request_stop();
  creating.wait();
  StopManager();
  shim_.Thaw("Create");
  ASSERT_TRUE(fs::exists(BundlePath("c1")));
  StartManager();
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_EQ(shim_.CountCalls("Delete"), 1U);
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
  EXPECT_THAT(List(), IsEmpty());
}

TEST_F(RestartTest, AHalfMadeTaskWhoseShimDiesIsNobodysNews) {
  StopManager();
  const Bundle bundle = MakeBundle("c1");
  ASSERT_THAT(bundle.WriteShimBinary(shim_.program()), IsOk());
  ASSERT_THAT(bundle.WriteEndpoint({.version = 3, .address = shim_.address()}), IsOk());
  shim_.Freeze("Connect");
  StartManager();
  ASSERT_TRUE(Eventually([&] { return !shim_.LastPayload("Connect").empty(); }));
  shim_.Die();
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_EQ(shim_.Runs("delete"), 1);
  EXPECT_TRUE(Eventually([&] { return List().empty(); }));
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::Milliseconds(200)), std::nullopt);
}

TEST_F(RestartTest, AnEmptyBundleIsNobodysNews) {
  StopManager();
  containers::ContainerStore containers(*metadata_, exchange_);
  google::protobuf::Any spec;
  spec.set_type_url("spec");
  ASSERT_THAT(
      containers.Create(ctx_, {.id = "c1", .runtime_name = shim_.program().string(), .spec = spec}),
      IsOk());
  fs::create_directories(BundlePath("c1"));
  StartManager();
  EXPECT_TRUE(Eventually([&] { return NoBundles() && List().empty(); }));
  EXPECT_EQ(shim_.Runs("delete"), 0);
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::Milliseconds(200)), std::nullopt);
}

TEST_F(RestartTest, AShimWithoutItsContainerIsEnded) {
  CreateAndStart("c1");
  StopManager();
  shim_.Fail("State", NotFound("container not created"));
  shim_.Fail("Delete", NotFound("container not created"));
  StartManager();
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
  // Neither was there a task whose end would be news.
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::ZeroDuration()), std::nullopt);
}

TEST_F(RestartTest, AShimOfASandboxNeedsNoContainer) {
  CreateAndStart("pod");
  sandbox::SandboxStore sandboxes(*metadata_);
  ASSERT_THAT(sandboxes.Create(ctx_, {.id = "pod"}), IsOk());
  StopManager();
  shim_.Fail("State", NotFound("container not created"));
  StartManager();
  CreateOptions options = Options();
  options.sandbox_id = "pod";
  ASSERT_TRUE(Eventually([&] { return !List().empty(); }));
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 0U);
}

TEST_F(RestartTest, BundlesThatWereHalfMadeOrHalfRemovedAreRemoved) {
  StopManager();
  MakeBundle("early");                     // before its shim was chosen
  const Bundle late = MakeBundle("late");  // its shim may have been starting
  ASSERT_THAT(late.WriteShimBinary(shim_.program()), IsOk());
  fs::create_directories(roots_.state / "ns" / ".gone" / "rootfs");
  fs::create_directories(roots_.root / "ns" / "rebooted");
  fs::create_directories(BundlePath("empty"));
  StartManager();
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  // It was started once more to find the one that runs, which was told to end.
  EXPECT_EQ(shim_.Runs("start"), 1);
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
}

TEST_F(RestartTest, BundlesOfAnotherDaemonAreTakenUp) {
  StopManager();
  // As an older containerd leaves them: an address, and no note of the program.
  const Bundle bundle = MakeBundle("c1");
  ASSERT_THAT(bundle.MarkCreated(), IsOk());
  std::ofstream(bundle.path() / "address") << shim_.address();
  testing::FakeShim old(dir_.path() / "v2", 2);
  std::ofstream(bundle.path() / "address") << old.address();
  containers::ContainerStore containers(*metadata_, exchange_);
  google::protobuf::Any spec;
  spec.set_type_url("spec");
  ASSERT_THAT(
      containers.Create(ctx_, {.id = "c1", .runtime_name = old.program().string(), .spec = spec}),
      IsOk());
  StartManager();
  EXPECT_EQ(Get("c1")->status, Status::kRunning);
  EXPECT_TRUE(fs::exists(bundle.path() / "bootstrap.json"));
  EXPECT_THAT(Kill("c1", 9), IsOk());
}

TEST(TaskTest, ForgetsThoseWhoGaveUpWaitingForItToLoad) {
  Task task("ns", "c1", Task::Phase::kLoading);
  auto gone = std::make_shared<int>();
  int told = 0;
  task.WhenLoaded([] { return false; }, [gone] { FAIL() << "called one who gave up"; });
  EXPECT_EQ(gone.use_count(), 2);
  for (int i = 0; i < 3; ++i) task.WhenLoaded([] { return true; }, [&told] { ++told; });
  EXPECT_EQ(gone.use_count(), 1);
  EXPECT_TRUE(task.BecomeReady());
  EXPECT_EQ(told, 3);
}

TEST_F(RestartTest, StoppingIsNoDeathOfShims) {
  CreateAndStart("c1");
  shim_.Freeze("Kill");
  std::stop_source caller;
  Context ctx = ctx_;
  ctx.stop = caller.get_token();
  auto killing = Async<Nothing>(
      [&](Done<Nothing> done) { tasks_->Kill(ctx, "c1", {.signal = 9}, std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Kill") == 1; }));
  caller.request_stop();
  killing.wait();
  StopManager();
  EXPECT_EQ(shim_.Runs("delete"), 0);
  EXPECT_TRUE(fs::exists(BundlePath("c1")));
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::ZeroDuration()), std::nullopt);
  StartManager();
  EXPECT_THAT(Get("c1"), IsOk());
}

}  // namespace
}  // namespace gantry::runtime
