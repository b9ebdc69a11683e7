// SPDX-License-Identifier: Apache-2.0
// containerd's own shims, as they are installed, and ours, running real containers through runc.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>

#include "core/runtime/cgroup_metrics.h"
#include "core/runtime/testing/real_container.h"
#include "core/runtime/testing/real_shim_fixture.h"
#include "proto/runtime/task/v3/shim.pb.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
using ::containerd::events::TaskCreate;
using ::containerd::events::TaskDelete;
using ::containerd::events::TaskExecAdded;
using ::containerd::events::TaskExecStarted;
using ::containerd::events::TaskExit;
using ::containerd::events::TaskStart;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;

using testing::ShimKind;

class RuncShimTest : public testing::RealShimFixture,
                     public ::testing::WithParamInterface<ShimKind> {
 protected:
  RuncShimTest() : RealShimFixture(GetParam(), "") {}
};

TEST_P(RuncShimTest, RunsAContainerToItsEnd) {
  const auto pid = Create("c1", Options("c1", {"sh", "-c", "exit 7"}));
  ASSERT_THAT(pid, IsOk());
  EXPECT_GT(*pid, 1U);
  EXPECT_EQ(Get("c1")->status, Status::kCreated);
  auto waiting = Wait("c1");
  EXPECT_EQ(*Start("c1"), *pid);
  EXPECT_EQ(waiting.get()->status, 7U);
  EXPECT_EQ(Get("c1")->status, Status::kStopped);
  EXPECT_THAT(Kill("c1", SIGTERM),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("process already finished")));
  // Before the deletion: a stock shim of 2.4 that shuts down forgets the events it has not sent.
  const auto created = NextEvent<TaskCreate>("/tasks/create");
  ASSERT_TRUE(created.has_value());
  EXPECT_EQ(created->bundle(), BundlePath("c1"));
  const auto started = NextEvent<TaskStart>("/tasks/start");
  ASSERT_TRUE(started.has_value());
  EXPECT_EQ(started->pid(), *pid);
  const auto exited = NextEvent<TaskExit>("/tasks/exit");
  ASSERT_TRUE(exited.has_value());
  EXPECT_EQ(exited->exit_status(), 7U);
  const auto exit = Delete("c1");
  ASSERT_THAT(exit, IsOk());
  EXPECT_EQ(exit->status, 7U);
  EXPECT_EQ(exit->pid, *pid);
  EXPECT_THAT(Delete("c1"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(NextEvent<TaskDelete>("/tasks/delete")->container_id(), "c1");
}

TEST_P(RuncShimTest, ExecsPauseUpdateAndKill) {
  CreateAndStart("c1", {"sleep", "1000"});
  EXPECT_THAT(Delete("c1"), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_THAT(ExecIn("c1", "e1", {"sh", "-c", "exit 3"}), IsOk());
  EXPECT_THAT(ExecIn("c1", "e1", {"true"}), StatusIs(absl::StatusCode::kAlreadyExists));
  auto waiting = Wait("c1", "e1");
  const auto exec_pid = Start("c1", "e1");
  ASSERT_THAT(exec_pid, IsOk());
  EXPECT_GT(*exec_pid, 1U);
  EXPECT_EQ(waiting.get()->status, 3U);
  EXPECT_EQ(NextEvent<TaskExecAdded>("/tasks/exec-added")->exec_id(), "e1");
  EXPECT_EQ(NextEvent<TaskExecStarted>("/tasks/exec-started")->pid(), *exec_pid);
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit")->id(), "e1");
  EXPECT_EQ(Get("c1", "e1")->status, Status::kStopped);
  EXPECT_EQ(DeleteExec("c1", "e1")->status, 3U);

  ASSERT_THAT(ExecIn("c1", "e2", {"sleep", "1000"}), IsOk());
  EXPECT_THAT(Kill("c1", SIGKILL, "e2"), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_THAT(Start("c1", "e2"), IsOk());
  const auto pids = Sync<std::vector<ProcessInfo>>(
      [&](Done<std::vector<ProcessInfo>> done) { tasks_->Pids(ctx_, "c1", std::move(done)); });
  ASSERT_THAT(pids, IsOk());
  EXPECT_EQ(pids->size(), 2U);
  EXPECT_EQ(std::count_if(pids->begin(), pids->end(),
                          [](const ProcessInfo& info) { return info.info.has_value(); }),
            1);
  auto exec_waiting = Wait("c1", "e2");
  ASSERT_THAT(Kill("c1", SIGKILL, "e2"), IsOk());
  EXPECT_EQ(exec_waiting.get()->status, 137U);

  const auto change = [&](auto call) { return Sync<Nothing>(call).status(); };
  ASSERT_THAT(change([&](Done<Nothing> done) { tasks_->Pause(ctx_, "c1", std::move(done)); }),
              IsOk());
  EXPECT_EQ(Get("c1")->status, Status::kPaused);
  ASSERT_THAT(change([&](Done<Nothing> done) { tasks_->Resume(ctx_, "c1", std::move(done)); }),
              IsOk());
  google::protobuf::Any resources;
  resources.set_type_url("types.containerd.io/opencontainers/runtime-spec/1/LinuxResources");
  resources.set_value(R"({"pids": {"limit": 77}})");
  ASSERT_THAT(change([&](Done<Nothing> done) {
                tasks_->Update(ctx_, "c1", resources, {}, std::move(done));
              }),
              IsOk());
  const auto place = FindCgroup(static_cast<pid_t>(Get("c1")->pid));
  ASSERT_THAT(place, IsOk());
  const std::string& pids_folder = place->unified ? place->directory : place->Of("pids");
  EXPECT_EQ(testing::ReadAllOf(fs::path(pids_folder) / "pids.max"), "77\n");

  auto init_waiting = Wait("c1");
  ASSERT_THAT(Kill("c1", SIGKILL), IsOk());
  EXPECT_EQ(init_waiting.get()->status, 137U);
  EXPECT_THAT(Delete("c1"), IsOk());
}

TEST_P(RuncShimTest, AFailedCreateLeavesNothingAndSaysWhy) {
  EXPECT_THAT(Create("c1", Options("c1", {"no-such-program"})),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("no-such-program")));
  EXPECT_TRUE(NoBundles());
  EXPECT_FALSE(fs::exists(dir_.path() / "runc" / "ns" / "c1"));
}

TEST_P(RuncShimTest, MakesAndStartsInOneGo) {
  for (int round = 0; round < 3; ++round) {
    CreateOptions options = Options("c1", {"sh", "-c", "exit 7"});
    options.start = true;
    const auto pid = Create("c1", std::move(options));
    ASSERT_THAT(pid, IsOk());
    EXPECT_GT(*pid, 1U);
    EXPECT_EQ(Wait("c1").get()->status, 7U);
    ASSERT_TRUE(NextEvent<TaskCreate>("/tasks/create").has_value());
    const auto started = NextEvent<TaskStart>("/tasks/start");
    ASSERT_TRUE(started.has_value());
    EXPECT_EQ(started->pid(), *pid);
    const auto exited = NextEvent<TaskExit>("/tasks/exit");
    ASSERT_TRUE(exited.has_value());
    EXPECT_EQ(exited->exit_status(), 7U);
    EXPECT_EQ(Get("c1")->status, Status::kStopped);
    const auto exit = Delete("c1");
    ASSERT_THAT(exit, IsOk());
    EXPECT_EQ(exit->pid, *pid);
    // A stock shim of 2.4 that shuts down forgets the events it has not sent.
    EXPECT_TRUE(!GetParam().ours() || NextEvent<TaskDelete>("/tasks/delete").has_value());
  }
  CreateOptions options = Options("c1", {"sleep", "1000"});
  options.start = true;
  ASSERT_THAT(Create("c1", std::move(options)), IsOk());
  EXPECT_EQ(Get("c1")->status, Status::kRunning);
  options = Options("c2", {"no-such-program"});
  options.start = true;
  EXPECT_THAT(Create("c2", std::move(options)),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("no-such-program")));
  EXPECT_THAT(Get("c2"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_FALSE(fs::exists(BundlePath("c2")));
  EXPECT_FALSE(fs::exists(dir_.path() / "runc" / "ns" / "c2"));
}

TEST_P(RuncShimTest, ACreatedTaskCanBeDeleted) {
  ASSERT_THAT(Create("c1", Options("c1", {"sleep", "1000"})), IsOk());
  auto waiting = Wait("c1");
  EXPECT_THAT(Delete("c1"), IsOk());
  EXPECT_EQ(waiting.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_P(RuncShimTest, MountsTheRootAndUnmountsIt) {
  CreateOptions options = Options("c1", {"cat", "/lower/file"}, "rootfs");
  fs::create_directories(dir_.path() / "upper");
  fs::create_directories(dir_.path() / "image/lower");
  std::ofstream(dir_.path() / "image/lower/file") << "seen";
  options.rootfs = {
      {.type = "bind", .source = (dir_.path() / "image").string(), .options = {"rbind", "rw"}}};
  options.stdio.out = "file://" + (dir_.path() / "out").string();
  if (std::string_view(GetParam().name) == "containerd16") options.stdio.out.clear();
  // Stock shims crash when a file is named for one stream alone.
  options.stdio.err = options.stdio.out;
  ASSERT_THAT(Create("c1", options), IsOk());
  EXPECT_TRUE(testing::AnyMountBelow(BundlePath("c1") / "rootfs"));
  auto waiting = Wait("c1");
  ASSERT_THAT(Start("c1"), IsOk());
  EXPECT_EQ(waiting.get()->status, 0U);
  ASSERT_THAT(Delete("c1"), IsOk());
  if (!options.stdio.out.empty()) {
    EXPECT_EQ(testing::ReadAllOf(dir_.path() / "out"), "seen");
  }
  EXPECT_FALSE(testing::AnyMountBelow(dir_.path()));
}

TEST_P(RuncShimTest, OutlivesTheManager) {
  CreateAndStart("c1", {"sleep", "1000"});
  const uint32_t pid = Get("c1")->pid;
  RestartManager();
  const auto state = Get("c1");
  ASSERT_THAT(state, IsOk());
  EXPECT_EQ(state->status, Status::kRunning);
  EXPECT_EQ(state->pid, pid);
  EXPECT_FALSE(testing::IsDead(static_cast<pid_t>(pid)));
  ASSERT_THAT(ExecIn("c1", "e1", {"sh", "-c", "exit 5"}), IsOk());
  auto exec_waiting = Wait("c1", "e1");
  ASSERT_THAT(Start("c1", "e1"), IsOk());
  EXPECT_EQ(exec_waiting.get()->status, 5U);
  auto waiting = Wait("c1");
  ASSERT_THAT(Kill("c1", SIGTERM, "", false), IsOk());
  ASSERT_THAT(Kill("c1", SIGKILL), IsOk());
  EXPECT_EQ(waiting.get()->status, 137U);
  EXPECT_THAT(Delete("c1"), IsOk());
}

TEST_P(RuncShimTest, AnExitWhileTheManagerIsAwayIsReportedOnce) {
  CreateAndStart("c1", {"sh", "-c", "sleep 0.3; exit 9"});
  const auto pid = static_cast<pid_t>(Get("c1")->pid);
  StopManager();
  events_server_.reset();
  ASSERT_TRUE(Eventually([&] { return testing::IsDead(pid); }));
  timeouts_.announce_exit = absl::Seconds(1);
  StartManager();
  ListenForEvents();
  // The process is dead, but its shim may not have looked yet: waiting is what is sure to tell.
  EXPECT_EQ(Wait("c1").get()->status, 9U);
  const auto state = Get("c1");
  ASSERT_THAT(state, IsOk());
  EXPECT_EQ(state->status, Status::kStopped);
  EXPECT_EQ(state->exit_status, 9U);
  const auto exit = NextEvent<TaskExit>("/tasks/exit");
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->exit_status(), 9U);
  EXPECT_EQ(exit->pid(), static_cast<uint32_t>(pid));
  // The shim may try once more itself; that must not be a second announcement.
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::Seconds(3)), std::nullopt);
  EXPECT_EQ(Delete("c1")->status, 9U);
}

TEST_P(RuncShimTest, AKilledShimIsNoticedAndCleanedUpAfter) {
  CreateAndStart("c1", {"sleep", "1000"});
  const auto pid = static_cast<pid_t>(Get("c1")->pid);
  const pid_t shim = ShimOf("c1");
  ASSERT_GT(shim, 1);
  const absl::Time start = absl::Now();
  ASSERT_EQ(::kill(shim, SIGKILL), 0);
  const auto exit = NextEvent<TaskExit>("/tasks/exit");
  ASSERT_TRUE(exit.has_value());
  RecordProperty("noticed_ms", static_cast<int>(absl::ToInt64Milliseconds(absl::Now() - start)));
  EXPECT_EQ(exit->exit_status(), 137U);
  EXPECT_EQ(exit->pid(), static_cast<uint32_t>(pid));
  EXPECT_TRUE(NextEvent<TaskDelete>("/tasks/delete").has_value());
  EXPECT_TRUE(Eventually([&] { return testing::IsDead(pid); }));
  EXPECT_THAT(Get("c1"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::Milliseconds(200)), std::nullopt);
}

TEST_P(RuncShimTest, AFrozenShimDelaysNobodyElseAndNoRestart) {
  CreateAndStart("c1", {"sleep", "1000"});
  CreateAndStart("c2", {"sleep", "1000"});
  const auto pid = static_cast<pid_t>(Get("c1")->pid);
  StopShim(ShimOf("c1"));
  EXPECT_EQ(List().size(), 2U);
  ASSERT_THAT(ExecIn("c2", "e1", {"true"}), IsOk());
  ASSERT_THAT(Start("c2", "e1"), IsOk());
  StopManager();
  const absl::Time start = absl::Now();
  StartManager();
  EXPECT_THAT(Get("c2"), IsOk());
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  EXPECT_EQ(List().size(), 2U);
  EXPECT_FALSE(testing::IsDead(pid));
  ASSERT_EQ(::kill(stopped_.back(), SIGCONT), 0);
  EXPECT_TRUE(Eventually([&] { return Get("c1").ok() && Get("c1")->status == Status::kRunning; }));
  EXPECT_FALSE(testing::IsDead(pid));
}

TEST_P(RuncShimTest, CountsResourcesAsTheShimDoes) {
  CreateAndStart("c1", {"sleep", "1000"});
  const auto read = Sync<std::vector<TaskMetric>>([&](Done<std::vector<TaskMetric>> done) {
    tasks_->Metrics(
        ctx_, [](const std::string&) { return true; }, std::move(done));
  });
  ASSERT_THAT(read, IsOk());
  ASSERT_EQ(read->size(), 1U);
  const auto place = FindCgroup(static_cast<pid_t>(Get("c1")->pid));
  ASSERT_THAT(place, IsOk());
  EXPECT_EQ((*read)[0].data.type_url(), place->unified ? "io.containerd.cgroups.v2.Metrics"
                                                       : "io.containerd.cgroups.v1.Metrics");
  EXPECT_FALSE((*read)[0].data.value().empty());
}

TEST_P(RuncShimTest, ManyContainersAtOnceLeaveNothing) {
  constexpr int kContainers = 8;
  std::vector<std::future<absl::StatusOr<uint32_t>>> creating;
  for (int i = 0; i < kContainers; ++i) {
    const std::string id = "c" + std::to_string(i);
    // A root each: runc makes dev/ptmx in it, where two at once would meet.
    const fs::path root = dir_.path() / ("image-" + id);
    testing::MakeRootfs(root);
    creating.push_back(Async<uint32_t>([&](Done<uint32_t> done) {
      tasks_->CreateTask(ctx_, id,
                         Options(id, {"sh", "-c", "exit " + std::to_string(i)}, root.string()),
                         std::move(done));
    }));
  }
  for (auto& create : creating) ASSERT_THAT(create.get(), IsOk());
  std::vector<std::future<absl::StatusOr<Exit>>> waiting;
  for (int i = 0; i < kContainers; ++i) waiting.push_back(Wait("c" + std::to_string(i)));
  for (int i = 0; i < kContainers; ++i) EXPECT_THAT(Start("c" + std::to_string(i)), IsOk());
  for (int i = 0; i < kContainers; ++i) {
    EXPECT_EQ(waiting[static_cast<size_t>(i)].get()->status, static_cast<uint32_t>(i));
    EXPECT_THAT(Delete("c" + std::to_string(i)), IsOk());
  }
}

INSTANTIATE_TEST_SUITE_P(Shims, RuncShimTest,
                         ::testing::Values(testing::kOldStockShim, testing::kStockShim,
                                           testing::kGantryShim),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace gantry::runtime
