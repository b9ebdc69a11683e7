// SPDX-License-Identifier: Apache-2.0
// The Task service, with a runtime that fails and hangs on demand, and no daemon in front that
// answers for it.
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "shim/fast/testing/scripted_fixture.h"

namespace gantry::shim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using wire::RpcCode;

class TaskCallsTest : public testing::ScriptedFixture {
 protected:
  messages::Status StatusOf(const std::string& id) {
    return Ask("State", messages::StateRequest{.id = id}).As<messages::StateResponse>().status;
  }
  Pending AskRaw(const std::string& method, const std::string& payload) {
    const auto pending = std::make_shared<Pending>();
    Call call;
    call.ns = "ns";
    call.payload = payload;
    call.caller = pending->caller;
    Start(Keep(tasks_.methods().at(method)(std::move(call)), pending));
    RunUntil([&pending] { return pending->done(); });
    return *pending;
  }
  void KillAndWait() {
    ASSERT_TRUE(Ask("Kill", messages::KillRequest{.id = "c", .signal = SIGKILL}).ok());
    ASSERT_TRUE(Ask("Wait", messages::WaitRequest{.id = "c"}).ok());
  }
  // Has a command of the runtime wait until LetGo(), after it has noted that it was called.
  void Hold(const std::string& command) {
    WriteFile(Path("held"), "");
    Fault(command, "echo " + command + " >>" + Path("calls") + "; while [ -e " + Path("held") +
                       " ]; do sleep 0.01; done");
  }
  void LetGo() { std::filesystem::remove(Path("held")); }
  std::string Calls() {
    auto text = kernel::ReadFile(Path("calls"), 1000);
    return text ? *text : "";
  }
};

TEST_F(TaskCallsTest, QuestionsAreAnsweredWhateverElseIsUnderWay) {
  const auto expect_answers = [this](const std::string& during, messages::Status status) {
    SCOPED_TRACE(during);
    RunUntil([&] { return !Calls().empty(); });
    EXPECT_EQ(StatusOf("c"), status);
    EXPECT_TRUE(Ask("Pids", messages::PidsRequest{.id = "c"}).ok());
    EXPECT_TRUE(Ask("Connect", messages::ConnectRequest{.id = "c"}).ok());
    EXPECT_EQ(Calls(), during + "\n");
    std::filesystem::remove(Path("calls"));
    EXPECT_TRUE(std::filesystem::exists(Path("held")));
    LetGo();
  };
  // Of one that is being made there is nothing to tell, at once.
  Hold("create");
  const auto create = Begin("Create", Create());
  RunUntil([&] { return !Calls().empty(); });
  for (const char* method : {"State", "Wait", "Pids", "Stats"}) {
    EXPECT_EQ(Ask(method, messages::StateRequest{.id = "c"}).status().code, RpcCode::kNotFound)
        << method;
  }
  EXPECT_FALSE(create->done());
  LetGo();
  RunUntil([&] { return create->done(); });
  std::filesystem::remove(Path("calls"));
  EXPECT_EQ(StatusOf("c"), messages::Status::kCreated);

  Hold("start");
  const auto start = Begin("Start", messages::StartRequest{.id = "c"});
  expect_answers("start", messages::Status::kCreated);
  RunUntil([&] { return start->done(); });
  Hold("pause");
  const auto pause = Begin("Pause", messages::PauseRequest{.id = "c"});
  expect_answers("pause", messages::Status::kPausing);
  RunUntil([&] { return pause->done(); });
  EXPECT_EQ(StatusOf("c"), messages::Status::kPaused);
  ASSERT_TRUE(Ask("Resume", messages::ResumeRequest{.id = "c"}).ok());
  KillAndWait();
  Hold("delete");
  const auto deletion = Begin("Delete", messages::DeleteRequest{.id = "c"});
  expect_answers("delete", messages::Status::kStopped);
  RunUntil([&] { return deletion->done(); });
  EXPECT_TRUE(deletion->ok());
}

TEST_F(TaskCallsTest, AllWhoWaitGetOneAnswerWheneverTheyAsk) {
  ASSERT_TRUE(Ask("Create", Create()).ok());
  std::vector<std::shared_ptr<Pending>> waits;
  for (int i = 0; i < 100; ++i) waits.push_back(Begin("Wait", messages::WaitRequest{.id = "c"}));
  ASSERT_TRUE(Ask("Start", messages::StartRequest{.id = "c"}).ok());
  KillAndWait();
  const auto last = Ask("Wait", messages::WaitRequest{.id = "c"});
  EXPECT_EQ(last.As<messages::WaitResponse>().exit_status, 137U);
  for (const auto& wait : waits) {
    RunUntil([&] { return wait->done(); });
    EXPECT_EQ(std::get<std::string>(*wait->answer), std::get<std::string>(*last.answer));
  }
}

TEST_F(TaskCallsTest, ADeleteMayBeRepeatedWhileTheFirstIsUnderWay) {
  Run();
  KillAndWait();
  Hold("delete");
  const auto first = Begin("Delete", messages::DeleteRequest{.id = "c"});
  RunUntil([&] { return !Calls().empty(); });
  EXPECT_EQ(Ask("Delete", messages::DeleteRequest{.id = "c"}, Clock::now() + milliseconds(50))
                .status()
                .code,
            RpcCode::kDeadlineExceeded);
  const auto joining = Begin("Delete", messages::DeleteRequest{.id = "c"});
  LetGo();
  RunUntil([&] { return first->done() && joining->done(); });
  EXPECT_EQ(first->As<messages::DeleteResponse>().exit_status, 137U);
  EXPECT_EQ(joining->As<messages::DeleteResponse>().exit_status, 137U);
  EXPECT_EQ(Calls(), "delete\n");
  EXPECT_EQ(Ask("Delete", messages::DeleteRequest{.id = "c"}).status().code, RpcCode::kNotFound);
  EXPECT_THAT(Events(), ElementsAre("create", "start", "exit", "delete"));
}

TEST_F(TaskCallsTest, AnUnknownContainerIsNotFoundAndNonsenseIsRefused) {
  for (const auto& [method, function] : tasks_.methods()) {
    if (method == "Connect" || method == "Shutdown" || method == "Create") continue;
    // Each has the container's id as its first field.
    EXPECT_EQ(Ask(method, messages::StateRequest{.id = "absent"}).status().code, RpcCode::kNotFound)
        << method;
  }
  for (const auto& [method, function] : tasks_.methods())
    EXPECT_EQ(AskRaw(method, "\xff").status().code, RpcCode::kInternal) << method;
  const auto connected = Ask("Connect", messages::ConnectRequest{.id = "absent"});
  EXPECT_EQ(connected.As<messages::ConnectResponse>().task_pid, 0U);
  EXPECT_EQ(connected.As<messages::ConnectResponse>().shim_pid, static_cast<uint32_t>(::getpid()));
  Run();
  EXPECT_EQ(Ask("Update", messages::UpdateTaskRequest{.id = "c"}).status().code,
            RpcCode::kInvalidArgument);
  EXPECT_EQ(StatusOf("c"), messages::Status::kRunning);
}

TEST_F(TaskCallsTest, AShutdownWhileThereIsAContainerIsNoneAndAfterItNothingIsMade) {
  Run();
  EXPECT_TRUE(Ask("Shutdown", messages::ShutdownRequest{.id = "c"}).ok());
  EXPECT_EQ(shut_downs_, 0);
  KillAndWait();
  ASSERT_TRUE(Ask("Delete", messages::DeleteRequest{.id = "c"}).ok());
  EXPECT_TRUE(Ask("Shutdown", messages::ShutdownRequest{.id = "c"}).ok());
  EXPECT_EQ(shut_downs_, 1);
  EXPECT_EQ(Ask("Create", Create("d")).status().code, RpcCode::kFailedPrecondition);
}

TEST_F(TaskCallsTest, ARestoredContainerHasAPidOnceItIsStarted) {
  auto request = Create();
  request.checkpoint = Path("image");
  const auto created = Ask("Create", request).As<messages::CreateTaskResponse>();
  EXPECT_EQ(created.pid, 0U);
  const auto started =
      Ask("Start", messages::StartRequest{.id = "c"}).As<messages::StartResponse>();
  EXPECT_GT(started.pid, 0U);
  EXPECT_THAT(Events(), ElementsAre("create", "start"));
  const auto start = messages::Decode<messages::TaskStart>(events_.back().event->value);
  ASSERT_TRUE(start.has_value());
  EXPECT_EQ(start->pid, started.pid);
  KillAndWait();
  EXPECT_EQ(Ask("Delete", messages::DeleteRequest{.id = "c"}).As<messages::DeleteResponse>().pid,
            started.pid);
}

TEST_F(TaskCallsTest, AFailedCheckpointKeepsItsLogAndTheContainer) {
  Run();
  Fault("checkpoint", "mkdir -p \"$work\"; echo why >\"$work/dump.log\"; exit 1");
  EXPECT_THAT(Ask("Checkpoint", messages::CheckpointTaskRequest{.id = "c", .path = Path("image")})
                  .status()
                  .message,
              HasSubstr("OCI runtime checkpoint failed: "));
  const auto log = kernel::ReadFile(Path("bundle/criu-dump.log"), 100);
  ASSERT_TRUE(log);
  EXPECT_EQ(*log, "why\n");
  EXPECT_FALSE(std::filesystem::exists(Path("bundle/work/criu-work")));
  EXPECT_EQ(StatusOf("c"), messages::Status::kRunning);
}

TEST_F(TaskCallsTest, ALoggerThatDoesNotGetReadyFailsTheCreate) {
  WriteFile(Path("logger"), "#!/bin/sh\nexit 1\n", 0755);
  const size_t fds = OpenFds();
  auto request = Create();
  request.stdout = request.stderr = "binary-v2://" + Path("logger");
  EXPECT_THAT(Ask("Create", request).status().message, HasSubstr("failed to prepare io"));
  EXPECT_THAT(Events(), IsEmpty());
  EXPECT_THAT(tasks_.ids(), IsEmpty());
  EXPECT_EQ(OpenFds(), fds);
  EXPECT_TRUE(Ask("Create", Create()).ok());
}

TEST_F(TaskCallsTest, WhoHoldsTheOutputOpenDelaysADeleteByLittle) {
  ASSERT_EQ(::mkfifo(Path("out").c_str(), 0600), 0);
  const kernel::UniqueFd reader(::open(Path("out").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  Fault("create", "setsid sleep 3 </dev/null 2>/dev/null &");  // with the container's stdout
  auto request = Create();
  request.stdout = Path("out");
  ASSERT_TRUE(Ask("CreateStart", request).ok());
  KillAndWait();
  const Time begun = Clock::now();
  EXPECT_TRUE(Ask("Delete", messages::DeleteRequest{.id = "c"}, Clock::now() + seconds(2)).ok());
  EXPECT_LT(Clock::now() - begun, seconds(2));
}

TEST_F(TaskCallsTest, OptionsOfAnUnknownTypeAreWarnedOfAndLeftAside) {
  auto request = Create();
  request.options = messages::Any{.type_url = "example.org/Options", .value = "x"};
  // The runtime of the defaults knows nothing of this bundle; that it was asked is what counts.
  const auto answer = Ask("Create", request);
  if (!answer.ok()) {
    EXPECT_EQ(answer.status().code, RpcCode::kUnknown) << answer.status().message;
  }
  EXPECT_THAT(log_, Contains(HasSubstr("unknown type")));
}

}  // namespace
}  // namespace gantry::shim
