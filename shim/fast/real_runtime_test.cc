// SPDX-License-Identifier: Apache-2.0
// With runc and crun, and busybox in the container.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "core/kernel/testing/require.h"
#include "gmock/gmock.h"
#include "shim/fast/testing/fast_fixture.h"
#include "shim/process/command.h"
#include "shim/runtime/binary.h"

namespace gantry::shim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kMillisecond = 1'000'000;

class RealRuntimeTest : public testing::FastFixture,
                        public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    gantry::testing::RequireRoot();
    if (IsSkipped() || HasFatalFailure()) return;
    gantry::testing::RequireProgram("/bin/busybox");
    if (IsSkipped() || HasFatalFailure()) return;
    if (!FindBinary(GetParam())) return gantry::testing::SkipFor(GetParam());
    namespace fs = std::filesystem;
    const fs::path root = Path("bundle/rootfs");
    for (const char* folder : {"bin", "proc", "dev"}) fs::create_directories(root / folder);
    fs::copy_file("/bin/busybox", root / "bin/busybox");
    for (const char* applet : {"sh", "sleep", "echo", "true", "cat", "setsid"})
      fs::create_symlink("busybox", root / "bin" / applet);
    WriteFile(
        Path("bundle/config.json"),
        R"({"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},
      "args":["sleep","1000"],"env":["PATH=/bin","FROM=spec"],"cwd":"/"},"root":{"path":")" +
            root.string() + R"("},
      "mounts":[{"destination":"/proc","type":"proc","source":"proc"}],"linux":{"cgroupsPath":"/gantry-fast-)" +
            std::to_string(::getpid()) +
            R"(","namespaces":[{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"}]}})");
    ASSERT_TRUE(
        Ask("CreateStart", CreateRequest("c", Path("bundle"), GetParam(), Path("state"))).ok());
  }

  static messages::ExecSyncRequest Shell(const std::string& script) {
    return {.id = "c", .args = {"sh", "-c", script}};
  }
  // What was killed is gone a moment later: it may have lost its parent.
  void ExpectInitAlone() {
    for (int look = 0; look < 1000 && Processes() > 1; ++look) RunFor(milliseconds(1));
    EXPECT_EQ(Processes(), 1U);
  }
  size_t Processes() {
    return Ask("Pids", messages::PidsRequest{.id = "c"})
        .As<messages::PidsResponse>()
        .processes.size();
  }
  // Runs the loop to the end of it, without looks in between, which would count as the shim's.
  static Co<void> CallAndStop(Loop& loop, Co<Answer> running, Answer& answer) {
    answer = co_await std::move(running);
    loop.Stop();
  }
  static Co<void> RunAndStop(Loop& loop, Children& children, CommandOptions options,
                             std::optional<kernel::Result<CommandOutcome>>& outcome) {
    outcome.emplace(co_await RunCommand(loop, children, std::move(options)));
    loop.Stop();
  }
};

TEST_P(RealRuntimeTest, RunsInTheContainersOwnSurroundings) {
  const auto response = ExecSync(Shell("echo $FROM; echo $$ >&2; exit 3"));
  EXPECT_EQ(response.stdout, "spec\n");
  EXPECT_FALSE(response.stderr.empty());
  EXPECT_EQ(response.exit_status, 3U);
  EXPECT_EQ(
      ExecSync(
          {.id = "c",
           .process =
               R"({"args":["sh","-c","echo $A"],"env":["PATH=/bin","A=b"],"cwd":"/","user":{"uid":0,"gid":0}})"})
          .stdout,
      "b\n");
  EXPECT_THAT(Events(), ElementsAre("create", "start"));
}

TEST_P(RealRuntimeTest, ATimeoutEndsTheSessionWithAllItsGroups) {
  auto request = Shell("set -m; sleep 1000 & sh -c 'sleep 1000 & sleep 1000' & sleep 1000");
  request.timeout_nano = 500 * kMillisecond;
  const auto response = ExecSync(request);
  EXPECT_TRUE(response.timed_out);
  EXPECT_EQ(response.exit_status, 137U);
  EXPECT_FALSE(response.output_open);
  ExpectInitAlone();
}

TEST_P(RealRuntimeTest, ACallerThatLeavesTakesItAlong) {
  const auto call = Begin("ExecSync", Shell("sleep 1000"));
  RunUntil([this] { return ledger_.owned() == 2; });
  EXPECT_EQ(Processes(), 2U);
  call->caller->Leave();
  RunUntil([&] { return call->done(); });
  ExpectInitAlone();
}

TEST_P(RealRuntimeTest, ErrorsReadAsThoseOfAStart) {
  const std::string process =
      R"({"args":["no-such-program"],"env":["PATH=/bin"],"cwd":"/","user":{"uid":0,"gid":0}})";
  ASSERT_TRUE(Ask("Exec",
                  messages::ExecProcessRequest{
                      .id = "c", .exec_id = "e", .spec = messages::Any{.value = process}})
                  .ok());
  const auto start = Ask("Start", messages::StartRequest{.id = "c", .exec_id = "e"});
  const auto sync = Ask("ExecSync", messages::ExecSyncRequest{.id = "c", .process = process});
  EXPECT_EQ(sync.status(), start.status());
  EXPECT_THAT(sync.status().message, HasSubstr("OCI runtime exec failed: "));
  EXPECT_THAT(sync.status().message, HasSubstr("no-such-program"));
}

TEST_P(RealRuntimeTest, AFrozenContainerRunsNothing) {
  ASSERT_TRUE(Ask("Pause", messages::PauseRequest{.id = "c"}).ok());
  EXPECT_THAT(Ask("ExecSync", Shell("true")).status().message,
              HasSubstr("cannot exec in a paused"));
  ASSERT_TRUE(Ask("Resume", messages::ResumeRequest{.id = "c"}).ok());
  EXPECT_EQ(ExecSync(Shell("echo on")).stdout, "on\n");
}

TEST_P(RealRuntimeTest, TheInitProcessTakesItAlongAndEndsLast) {
  const auto call = Begin("ExecSync", Shell("echo begun; sleep 1000"));
  RunUntil([this] { return ledger_.owned() == 2; });
  RunFor(milliseconds(100));
  ASSERT_TRUE(Ask("Kill", messages::KillRequest{.id = "c", .signal = SIGKILL}).ok());
  EXPECT_EQ(Ask("Wait", messages::WaitRequest{.id = "c"}).As<messages::WaitResponse>().exit_status,
            137U);
  RunUntil([&] { return call->done(); });
  const auto response = call->As<messages::ExecSyncResponse>();
  EXPECT_EQ(response.stdout, "begun\n");
  EXPECT_EQ(response.exit_status, 137U);
  EXPECT_FALSE(response.timed_out);
  EXPECT_EQ(Ask("ExecSync", Shell("true")).status().code, wire::RpcCode::kFailedPrecondition);
  EXPECT_THAT(Events(), ElementsAre("create", "start", "exit"));
}

TEST_P(RealRuntimeTest, ManyAtOnceLeaveNothing) {
  ExecSync(Shell("true"));
  Events();
  const size_t fds = OpenFds();
  const auto files = [this] {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(Path("bundle")))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  };
  const auto before = files();
  std::vector<std::shared_ptr<Pending>> calls;
  for (int i = 0; i < 12; ++i) {
    auto request = Shell("echo " + std::to_string(i) + "; sleep 0." + std::to_string(i));
    if (i % 4 == 1) request.timeout_nano = i * 10 * kMillisecond;
    calls.push_back(Begin("ExecSync", request));
    if (i % 4 == 2) calls.back()->caller->Leave();
  }
  for (int i = 0; i < 12; ++i) {
    const auto& call = calls[static_cast<size_t>(i)];
    RunUntil([&] { return call->done(); });
    if (i % 4 != 0) continue;
    EXPECT_EQ(call->As<messages::ExecSyncResponse>().stdout, std::to_string(i) + "\n");
  }
  RunUntil([this] { return ledger_.owned() == 1 && children_.awaited() == 0; });
  ExpectInitAlone();
  EXPECT_EQ(OpenFds(), fds);
  EXPECT_EQ(files(), before);
}

// What a call takes beside the runtime's command. Figures: GANTRY_ROUNDS=200.
TEST_P(RealRuntimeTest, CostsLittleMoreThanTheCommand) {
  const char* wanted = std::getenv("GANTRY_ROUNDS");
  const int rounds = wanted != nullptr ? std::atoi(wanted) : 10;
  const auto cpu = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  };
  const auto median = [](std::vector<Clock::duration> times) {
    std::sort(times.begin(), times.end());
    return std::chrono::duration_cast<microseconds>(times[times.size() / 2]);
  };
  std::vector<Clock::duration> alone;
  std::vector<Clock::duration> sync;
  microseconds spent{0};
  for (int round = 0; round < rounds; ++round) {
    CommandOptions options;
    options.spawn.program = *FindBinary(GetParam());
    options.spawn.arguments = {GetParam(), "--root", Path("state/ns"), "exec", "c", "true"};
    options.spawn.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    std::optional<kernel::Result<CommandOutcome>> outcome;
    Time begun = Clock::now();
    Start(RunAndStop(loop_, children_, std::move(options), outcome));
    loop_.Run();
    alone.push_back(Clock::now() - begun);
    ASSERT_TRUE(*outcome && (*outcome)->exit.status.success()) << (*outcome)->error_output;
    const auto before = cpu();
    begun = Clock::now();
    Call call{.deadline = kNever, .caller = std::make_shared<Caller>()};
    call.payload = messages::Encode(messages::ExecSyncRequest{.id = "c", .args = {"true"}});
    Answer answer;
    Start(CallAndStop(loop_, fast_.methods().find("ExecSync")->second(std::move(call)), answer));
    loop_.Run();
    sync.push_back(Clock::now() - begun);
    spent += cpu() - before;
    ASSERT_TRUE(std::holds_alternative<std::string>(answer));
  }
  std::cout << GetParam() << ": exec alone p50 " << median(alone).count() << " us, ExecSync p50 "
            << median(sync).count() << " us, shim's CPU for one " << spent.count() / rounds
            << " us\n";
  EXPECT_LT(median(sync), 2 * median(alone) + milliseconds(20));
}

INSTANTIATE_TEST_SUITE_P(Runtimes, RealRuntimeTest, ::testing::Values("runc", "crun"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace gantry::shim
