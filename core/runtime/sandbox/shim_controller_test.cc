// SPDX-License-Identifier: Apache-2.0
// Sandboxes in real shims, with real containers in them.
#include "core/runtime/sandbox/shim_controller.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "core/kernel/testing/require.h"
#include "core/runtime/testing/real_container.h"
#include "core/runtime/testing/task_fixture.h"
#include "core/sandbox/sandbox_store.h"
#include "proto/runtime/sandbox/v1/sandbox.pb.h"
#include "proto/types/runc/options/oci.pb.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
namespace pb = ::containerd::runtime::sandbox::v1;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ino_t NamespaceOf(uint32_t pid, const std::string& kind) {
  struct stat found {};
  EXPECT_EQ(::stat(("/proc/" + std::to_string(pid) + "/ns/" + kind).c_str(), &found), 0) << kind;
  return found.st_ino;
}

class ShimControllerTest : public testing::TaskFixture {
 protected:
  void SetUp() override {
    ::gantry::testing::RequireRoot();
    if (IsSkipped() || HasFatalFailure()) return;
    ::gantry::testing::RequireProgram("/bin/busybox");
    ::gantry::testing::RequireProgram("/usr/sbin/runc");
    if (IsSkipped() || HasFatalFailure()) return;
    const char* program = std::getenv("GANTRY_SHIM");
    program_ = program != nullptr ? fs::path(program)
                                  : fs::read_symlink("/proc/self/exe").parent_path().parent_path() /
                                        "bin/containerd-shim-gantry-v2";
    ASSERT_TRUE(fs::exists(program_)) << program_;
    testing::MakeRootfs(dir_.path() / "image");
    for (const fs::path& folder : {sandboxes_.state, sandboxes_.root}) {
      fs::create_directories(folder);
    }
    Restart();
  }

  void TearDown() override {
    if (controller_ != nullptr) {
      for (const char* id : {"pod", "pod2"}) {
        EXPECT_THAT(Shutdown(id), IsOk());
      }
    }
    EXPECT_TRUE(Eventually([&] { return NoBundles() && NoSandboxBundles(); }));
    EXPECT_TRUE(Eventually([&] { return testing::ProcessesWith(Address()).empty(); }));
    EXPECT_FALSE(testing::AnyMountBelow(dir_.path()));
    for (const std::string& cgroup : cgroups_) {
      EXPECT_TRUE(Eventually([&] { return !testing::AnyCgroup(cgroup); })) << cgroup;
    }
    tasks_.reset();
    controller_.reset();
  }

  // As a daemon ends and starts: the shims are told nothing.
  void Restart() {
    tasks_.reset();
    controller_.reset();
    shims_.reset();
    shims_ = *ShimManager::Create({.launcher = launcher_, .timeouts = timeouts_});
    auto controller = ShimController::Create(*shims_, sandboxes_);
    ASSERT_THAT(controller, IsOk());
    controller_ = *std::move(controller);
    auto tasks =
        TaskManager::Create(*shims_, *metadata_, exchange_, roots_, nullptr, sandboxes_.state);
    ASSERT_THAT(tasks, IsOk());
    tasks_ = *std::move(tasks);
  }

  std::string Address() const { return (dir_.path() / "g.sock").string(); }
  bool NoSandboxBundles() const {
    const auto state = ListBundles(sandboxes_.state);
    const auto root = ListBundles(sandboxes_.root);
    return state.ok() && root.ok() && state->bundles.empty() && state->remains.empty() &&
           root->bundles.empty() && root->remains.empty();
  }

  sandbox::Sandbox Record(const std::string& id) const {
    return {.id = id, .runtime_name = program_.string(), .sandboxer = "shim"};
  }
  template <typename Call>
  absl::Status SyncStatus(Call call) {
    auto result = std::make_shared<std::promise<absl::Status>>();
    call([result](const absl::Status& status) { result->set_value(status); });
    auto future = result->get_future();
    if (future.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
      return Unknown("no answer within a minute");
    }
    return future.get();
  }
  absl::Status CreateSandbox(sandbox::Sandbox record, sandbox::CreateOptions options = {}) {
    return SyncStatus([&](auto done) {
      controller_->Create(ctx_, std::move(record), std::move(options), std::move(done));
    });
  }
  absl::StatusOr<sandbox::Started> StartSandbox(const std::string& id) {
    return Sync<sandbox::Started>(
        [&](auto done) { controller_->Start(ctx_, id, std::move(done)); });
  }
  absl::StatusOr<sandbox::SandboxStatus> Status(const std::string& id) {
    return Sync<sandbox::SandboxStatus>(
        [&](auto done) { controller_->GetStatus(ctx_, id, /*verbose=*/true, std::move(done)); });
  }
  std::future<absl::StatusOr<sandbox::SandboxExit>> WaitSandbox(const std::string& id) {
    return Async<sandbox::SandboxExit>(
        [&](auto done) { controller_->Wait(ctx_, id, std::move(done)); });
  }
  absl::Status Stop(const std::string& id, absl::Duration grace = absl::ZeroDuration()) {
    return SyncStatus([&](auto done) { controller_->Stop(ctx_, id, grace, std::move(done)); });
  }
  absl::Status Shutdown(const std::string& id) {
    return SyncStatus([&](auto done) { controller_->Shutdown(ctx_, id, std::move(done)); });
  }

  // A sandbox that runs, with a record; gives the pid of the process that keeps its namespaces.
  uint32_t RunSandbox(const std::string& id) {
    EXPECT_THAT(sandbox::SandboxStore(*metadata_).Create(ctx_, Record(id)), IsOk());
    EXPECT_THAT(CreateSandbox(Record(id)), IsOk());
    const auto started = StartSandbox(id);
    EXPECT_THAT(started, IsOk());
    return started.ok() ? started->pid : 0;
  }

  // In the UTS namespace of the process.
  CreateOptions Member(const std::string& id, uint32_t keeper, std::vector<std::string> args) {
    const std::string cgroup = "/gantry-test-" + std::to_string(::getpid()) + "-" + id;
    cgroups_.push_back(cgroup);
    nlohmann::json spec = nlohmann::json::parse(testing::MakeSpec(
        {.args = std::move(args), .root = (dir_.path() / "image").string(), .cgroup = cgroup}));
    for (auto& entry : spec["linux"]["namespaces"]) {
      if (entry["type"] == "uts") {
        entry["path"] = "/proc/" + std::to_string(keeper) + "/ns/uts";
      }
    }
    ::containerd::runc::v1::Options runc;
    runc.set_root((dir_.path() / "runc").string());
    runc.set_binary_name(runc_);
    CreateOptions options;
    options.spec.emplace();
    options.spec->set_type_url("types.containerd.io/opencontainers/runtime-spec/1/Spec");
    options.spec->set_value(spec.dump());
    options.runtime = program_.string();
    options.runtime_options.emplace();
    options.runtime_options->set_type_url("containerd.runc.v1.Options");
    options.runtime_options->set_value(runc.SerializeAsString());
    options.sandbox_id = "pod";
    return options;
  }
  uint32_t RunMember(const std::string& id, uint32_t keeper, std::vector<std::string> args) {
    EXPECT_THAT(Create(id, Member(id, keeper, std::move(args))), IsOk());
    const auto pid = Start(id);
    EXPECT_THAT(pid, IsOk());
    return pid.ok() ? *pid : 0;
  }

  std::vector<pid_t> Shims() const { return testing::ProcessesWith(Address()); }
  pid_t ShimPid() const {
    const std::vector<pid_t> shims = Shims();
    return shims.empty() ? 0 : shims.front();
  }

  fs::path program_;
  std::string runc_;
  BundleRoots sandboxes_{.state = dir_.path() / "sandboxes", .root = dir_.path() / "twins"};
  std::unique_ptr<ShimController> controller_;
  std::vector<std::string> cgroups_;
};

TEST_F(ShimControllerTest, ASandboxFromCreateToShutdown) {
  ASSERT_THAT(CreateSandbox(Record("pod")), IsOk());
  auto status = Status("pod");
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->state, "SANDBOX_NOTREADY");
  EXPECT_EQ(status->pid, 0U);
  EXPECT_THAT(CreateSandbox(Record("pod")), StatusIs(absl::StatusCode::kAlreadyExists));

  const auto started = StartSandbox("pod");
  ASSERT_THAT(started, IsOk());
  EXPECT_THAT(started->address, StartsWith("ttrpc+unix:///"));
  EXPECT_EQ(started->version, 3U);
  EXPECT_LT(absl::Now() - started->created_at, absl::Minutes(1));
  EXPECT_NE(NamespaceOf(started->pid, "ipc"), NamespaceOf(::getpid(), "ipc"));
  EXPECT_NE(NamespaceOf(started->pid, "uts"), NamespaceOf(::getpid(), "uts"));
  EXPECT_THAT(StartSandbox("pod"), StatusIs(absl::StatusCode::kFailedPrecondition));

  status = Status("pod");
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->state, "SANDBOX_READY");
  EXPECT_EQ(status->pid, started->pid);
  EXPECT_EQ(status->address, started->address);
  EXPECT_EQ(status->info.at("containers"), "0");
  EXPECT_EQ(status->exited_at, absl::InfinitePast());

  const auto platform = Sync<sandbox::Platform>(
      [&](auto done) { controller_->GetPlatform(ctx_, "pod", std::move(done)); });
  ASSERT_THAT(platform, IsOk());
  EXPECT_EQ(platform->os, "linux");
  EXPECT_EQ(platform->architecture, sandbox::HostSandboxPlatform().architecture);
  const auto metrics = Sync<sandbox::SandboxMetrics>(
      [&](auto done) { controller_->GetMetrics(ctx_, "pod", std::move(done)); });
  ASSERT_THAT(metrics, IsOk());
  EXPECT_THAT(metrics->data.type_url(), HasSubstr("io.containerd.cgroups."));
  EXPECT_THAT(SyncStatus([&](auto done) {
                controller_->Update(ctx_, Record("pod"), {"labels"}, std::move(done));
              }),
              IsOk());

  auto waited = WaitSandbox("pod");
  EXPECT_THAT(Stop("pod"), IsOk());
  const auto exit = waited.get();
  ASSERT_THAT(exit, IsOk());
  EXPECT_EQ(exit->status, 128U + SIGKILL);
  EXPECT_LT(absl::Now() - exit->exited_at, absl::Minutes(1));
  EXPECT_TRUE(testing::IsDead(static_cast<pid_t>(started->pid)));
  status = Status("pod");
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->state, "SANDBOX_NOTREADY");
  EXPECT_EQ(status->exited_at, exit->exited_at);
  EXPECT_THAT(Stop("pod"), IsOk());
  EXPECT_THAT(WaitSandbox("pod").get(), IsOk());
  EXPECT_THAT(Shutdown("pod"), IsOk());
  EXPECT_TRUE(NoSandboxBundles());
  EXPECT_TRUE(Eventually([&] { return Shims().empty(); }));
}

TEST_F(ShimControllerTest, WhatIsUnknownIsNotFoundOrAlreadyDone) {
  EXPECT_THAT(StartSandbox("pod"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(WaitSandbox("pod").get(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Stop("pod"), IsOk());
  EXPECT_THAT(Shutdown("pod"), IsOk());
  const auto status = Status("pod");
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->state, "");
  EXPECT_LT(absl::Now() - status->exited_at, absl::Minutes(1));
}

TEST_F(ShimControllerTest, AFailedCreateOrStartLeavesNothing) {
  sandbox::Sandbox nameless = Record("pod");
  nameless.runtime_name.clear();
  EXPECT_THAT(CreateSandbox(nameless), StatusIs(absl::StatusCode::kInvalidArgument));
  sandbox::Sandbox odd = Record("..");
  EXPECT_THAT(CreateSandbox(odd), StatusIs(absl::StatusCode::kInvalidArgument));

  google::protobuf::Any config;
  config.set_type_url("runtime.v1.PodSandboxConfig");
  config.set_value("\x0a\xff");
  EXPECT_THAT(CreateSandbox(Record("pod"), {.options = config}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_TRUE(NoSandboxBundles());
  EXPECT_TRUE(Eventually([&] { return Shims().empty(); }));

  ASSERT_THAT(CreateSandbox(Record("pod"), {.netns_path = "/nonexistent"}), IsOk());
  EXPECT_THAT(StartSandbox("pod"), StatusIs(absl::StatusCode::kUnknown, HasSubstr("/nonexistent")));
  EXPECT_TRUE(NoSandboxBundles());
  EXPECT_TRUE(Eventually([&] { return Shims().empty(); }));
}

TEST_F(ShimControllerTest, ItsSpecIsTheBundlesAndMayShareAPidNamespace) {
  sandbox::Sandbox record = Record("pod");
  record.spec.emplace();
  record.spec->set_value(R"({"linux": {"namespaces": [{"type": "pid"}]}})");
  ASSERT_THAT(CreateSandbox(record), IsOk());
  EXPECT_EQ(testing::ReadAllOf(sandboxes_.state / "ns" / "pod" / "config.json"),
            record.spec->value());
  const auto started = StartSandbox("pod");
  ASSERT_THAT(started, IsOk());
  EXPECT_NE(NamespaceOf(started->pid, "pid"), NamespaceOf(::getpid(), "pid"));
}

TEST_F(ShimControllerTest, ContainersJoinItsShim) {
  const uint32_t keeper = RunSandbox("pod");
  const uint32_t first = RunMember("c1", keeper, {"sleep", "1000"});
  EXPECT_EQ(NamespaceOf(first, "uts"), NamespaceOf(keeper, "uts"));
  EXPECT_EQ(Shims().size(), 1U);
  EXPECT_EQ(testing::ParentOf(static_cast<pid_t>(first)), ShimPid());
  EXPECT_EQ(testing::ReadAllOf(BundlePath("c1") / "sandbox"), "pod");

  // The last container's end is not the shim's.
  EXPECT_THAT(Kill("c1", SIGKILL), IsOk());
  Wait("c1").wait();
  EXPECT_THAT(Delete("c1"), IsOk());
  EXPECT_EQ(Shims().size(), 1U);

  // Containers end with their sandbox: those that are told to, and those that do not listen.
  const uint32_t deaf = RunMember("c2", keeper, {"sleep", "1000"});
  auto exit = Wait("c2");
  EXPECT_THAT(Stop("pod", absl::Seconds(1)), IsOk());
  EXPECT_TRUE(testing::IsDead(static_cast<pid_t>(deaf)));
  EXPECT_EQ(exit.get()->status, 128U + SIGKILL);
  EXPECT_THAT(Delete("c2"), IsOk());
  EXPECT_THAT(Shutdown("pod"), IsOk());
  EXPECT_TRUE(Eventually([&] { return Shims().empty(); }));
  EXPECT_THAT(Create("c3", Member("c3", keeper, {"true"})), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ShimControllerTest, AStoppedSandboxTakesNoContainer) {
  const uint32_t keeper = RunSandbox("pod");
  const CreateOptions late = Member("late", keeper, {"/bin/busybox", "sleep", "1000"});
  ASSERT_THAT(Stop("pod"), IsOk());
  EXPECT_THAT(Create("late", late),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("the sandbox is stopped")));
  EXPECT_THAT(Shutdown("pod"), IsOk());
  EXPECT_TRUE(NoSandboxBundles());
}

// More than a connection to a shim has room for.
TEST_F(ShimControllerTest, ThoseWhoGiveUpWaitingLeaveNoCallBehind) {
  RunSandbox("pod");
  for (int i = 0; i < 9000; ++i) {
    std::stop_source source;
    Context ctx = ctx_;
    ctx.stop = source.get_token();
    const auto waited = Async<sandbox::SandboxExit>(
        [&](auto done) { controller_->Wait(ctx, "pod", std::move(done)); });
    source.request_stop();
    waited.wait();
  }
  auto waited = WaitSandbox("pod");
  EXPECT_THAT(Stop("pod"), IsOk());
  EXPECT_THAT(waited.get(), IsOk());
  EXPECT_THAT(Shutdown("pod"), IsOk());
}

TEST_F(ShimControllerTest, ShutdownTakesLeftoversAlong) {
  const uint32_t keeper = RunSandbox("pod");
  const uint32_t pid = RunMember("c1", keeper, {"sleep", "1000"});
  auto exit = Wait("c1");
  EXPECT_THAT(Shutdown("pod"), IsOk());
  EXPECT_TRUE(testing::IsDead(static_cast<pid_t>(pid)));
  EXPECT_TRUE(exit.get().ok());
  EXPECT_TRUE(Eventually([&] { return NoBundles() && Shims().empty(); }));
}

TEST_F(ShimControllerTest, AKilledShimTakesItsSandboxAndContainersAlong) {
  const uint32_t keeper = RunSandbox("pod");
  const uint32_t pid = RunMember("c1", keeper, {"sleep", "1000"});
  auto waited = WaitSandbox("pod");
  auto exit = Wait("c1");
  ::kill(ShimPid(), SIGKILL);
  EXPECT_THAT(waited.get(), StatusIs(absl::StatusCode::kUnknown, EndsWith("ttrpc: closed")));
  EXPECT_TRUE(exit.get().ok());
  EXPECT_TRUE(Eventually([&] {
    return NoSandboxBundles() && NoBundles() && testing::IsDead(static_cast<pid_t>(keeper)) &&
           testing::IsDead(static_cast<pid_t>(pid));
  }));
  const auto status = Status("pod");
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->state, "");
  EXPECT_NE(status->exited_at, absl::InfinitePast());
  // The id is free.
  EXPECT_THAT(CreateSandbox(Record("pod")), IsOk());
}

TEST_F(ShimControllerTest, ARestartTakesItUp) {
  const uint32_t keeper = RunSandbox("pod");
  RunMember("c1", keeper, {"sleep", "1000"});
  Restart();
  const auto status = Status("pod");
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->state, "SANDBOX_READY");
  EXPECT_EQ(status->pid, keeper);
  const auto state = Get("c1");
  ASSERT_THAT(state, IsOk());
  EXPECT_EQ(state->status, runtime::Status::kRunning);
  RunMember("c2", keeper, {"sleep", "1000"});
  EXPECT_EQ(Shims().size(), 1U);
  auto exit = Wait("c1");
  EXPECT_THAT(Stop("pod"), IsOk());
  EXPECT_TRUE(exit.get().ok());
  for (const char* id : {"c1", "c2"}) EXPECT_THAT(Delete(id), IsOk());
}

TEST_F(ShimControllerTest, ARestartCleansUpAfterAShimThatDiedMeanwhile) {
  const uint32_t keeper = RunSandbox("pod");
  RunMember("c1", keeper, {"sleep", "1000"});
  tasks_.reset();
  controller_.reset();
  shims_.reset();
  ::kill(ShimPid(), SIGKILL);
  ASSERT_TRUE(Eventually([&] { return Shims().empty(); }));
  Restart();
  EXPECT_TRUE(Eventually([&] { return NoSandboxBundles() && NoBundles(); }));
}

TEST_F(ShimControllerTest, ACreateThatNobodyWasToldOfIsUndoneAtTheNextStart) {
  RunSandbox("pod");
  std::ofstream(sandboxes_.state / "ns" / "pod" / "creating").flush();
  Restart();
  EXPECT_TRUE(Eventually([&] { return NoSandboxBundles() && Shims().empty(); }));
}

// Whoever asks again is told when it is done, not that somebody is at it.
TEST_F(ShimControllerTest, ARepeatedShutdownOrStopWaitsForTheFirst) {
  const uint32_t keeper = RunSandbox("pod");
  const fs::path go = dir_.path() / "go";
  runc_ = (dir_.path() / "slow-runc").string();
  std::ofstream(runc_) << "#!/bin/sh\ncase \" $* \" in *' delete '*) until [ -e " << go.string()
                       << " ]; do sleep 0.05; done;; esac\nexec runc \"$@\"\n";
  fs::permissions(runc_, fs::perms::owner_all);
  RunMember("c1", keeper, {"sleep", "1000"});
  std::vector<std::future<absl::Status>> calls;
  calls.push_back(std::async(std::launch::async, [this] { return Shutdown("pod"); }));
  ASSERT_TRUE(Eventually([&] { return !testing::ProcessesWith("slow-runc").empty(); }));
  calls.push_back(std::async(std::launch::async, [this] { return Shutdown("pod"); }));
  calls.push_back(std::async(std::launch::async, [this] { return Stop("pod"); }));
  for (auto& call : calls) {
    EXPECT_EQ(call.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout);
  }
  std::ofstream(go) << "";
  for (auto& call : calls) EXPECT_THAT(call.get(), IsOk());
  EXPECT_TRUE(NoSandboxBundles());
}

TEST_F(ShimControllerTest, AnswersWhileAContainerIsStuck) {
  const uint32_t keeper = RunSandbox("pod");
  const fs::path fifo = dir_.path() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  runc_ = (dir_.path() / "stuck-runc").string();
  std::ofstream(runc_) << "#!/bin/sh\ncase \" $* \" in *' create '*) read line <" << fifo.string()
                       << ";; esac\nexit 1\n";
  fs::permissions(runc_, fs::perms::owner_all);
  auto created = Async<uint32_t>([&](Done<uint32_t> done) {
    tasks_->CreateTask(ctx_, "c1", Member("c1", keeper, {"true"}), std::move(done));
  });
  ASSERT_TRUE(Eventually([&] { return !testing::ProcessesWith("stuck-runc").empty(); }));
  EXPECT_THAT(Status("pod"), IsOk());
  auto shim = shims_->Connect(Bundle(sandboxes_, "ns", "pod"), program_,
                              {.endpoint = *Bundle(sandboxes_, "ns", "pod").ReadEndpoint()},
                              /*record=*/false, nullptr);
  ASSERT_THAT(shim, IsOk());
  const auto ping = [&](const std::string& id) {
    pb::PingRequest request;
    request.set_sandbox_id(id);
    return Sync<pb::PingResponse>([&](Done<pb::PingResponse> done) {
      CallSandbox<pb::PingResponse>(**shim, "PingSandbox", request, absl::Now() + absl::Seconds(20),
                                    std::move(done));
    });
  };
  EXPECT_THAT(ping("pod"), IsOk());
  EXPECT_THAT(ping("other"), StatusIs(absl::StatusCode::kNotFound));
  shims_->Release(*shim);
  std::ofstream(fifo) << "go\n";
  EXPECT_FALSE(created.get().ok());
}

}  // namespace
}  // namespace gantry::runtime
