// SPDX-License-Identifier: Apache-2.0
// Execs of the Task service, and who waits for what of them.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "shim/fast/testing/scripted_fixture.h"

namespace gantry::shim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using wire::RpcCode;

class ExecCallsTest : public testing::ScriptedFixture {
 protected:
  ExecCallsTest() { Run(); }

  void AddExec(const std::string& stdout_path = "") {
    messages::ExecProcessRequest request{.id = "c", .exec_id = "e", .stdout = stdout_path};
    request.spec = messages::Any{.type_url = "spec", .value = R"({"args":["program"],"cwd":"/"})"};
    ASSERT_TRUE(Ask("Exec", request).ok());
  }
  std::string Fifo() const {
    EXPECT_EQ(::mkfifo(Path("out").c_str(), 0600), 0);
    return Path("out");
  }
  static messages::StartRequest Start() { return {.id = "c", .exec_id = "e"}; }
  static messages::WaitRequest Wait() { return {.id = "c", .exec_id = "e"}; }
  static messages::DeleteRequest Delete() { return {.id = "c", .exec_id = "e"}; }
};

TEST_F(ExecCallsTest, AWaitEndsWithTheDeleteOfWhatWasNeverStarted) {
  AddExec();
  const auto wait = Begin("Wait", Wait());
  EXPECT_TRUE(Ask("Delete", Delete()).ok());
  RunUntil([&] { return wait->done(); });
  EXPECT_EQ(wait->As<messages::WaitResponse>().exit_status, 0U);
}

TEST_F(ExecCallsTest, AWaitEndsWithItsCaller) {
  Script("sleep 1000");
  AddExec();
  ASSERT_TRUE(Ask("Start", Start()).ok());
  const auto gone = Begin("Wait", Wait());
  const auto stays = Begin("Wait", Wait());
  const auto init = Begin("Wait", messages::WaitRequest{.id = "c"});
  gone->caller->Leave();
  init->caller->Leave();
  RunUntil([&] { return gone->done() && init->done(); });
  EXPECT_EQ(gone->status().code, RpcCode::kCanceled);
  EXPECT_EQ(init->status().code, RpcCode::kCanceled);
  EXPECT_FALSE(stays->done());
  ASSERT_TRUE(
      Ask("Kill", messages::KillRequest{.id = "c", .exec_id = "e", .signal = SIGKILL}).ok());
  RunUntil([&] { return stays->done(); });
  EXPECT_EQ(stays->As<messages::WaitResponse>().exit_status, 137U);
  EXPECT_TRUE(Ask("Delete", Delete()).ok());
}

TEST_F(ExecCallsTest, AFailedStartIsNotRepeated) {
  Fault("exec", "exit 1");
  AddExec();
  EXPECT_FALSE(Ask("Start", Start()).ok());
  EXPECT_TRUE(Ask("Wait", Wait()).ok());
  EXPECT_THAT(Ask("Start", Start()).status().message, HasSubstr("whose start has failed"));
  EXPECT_TRUE(Ask("Delete", Delete()).ok());
}

TEST_F(ExecCallsTest, ADeleteMayBeRepeatedWhileTheFirstDrains) {
  const std::string out = Fifo();
  const kernel::UniqueFd reader(::open(out.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  Script("head -c 100000 /dev/zero");  // more than a fifo holds, less than that and a pipe
  AddExec(out);
  ASSERT_TRUE(Ask("Start", Start()).ok());
  ASSERT_EQ(Ask("Wait", Wait()).As<messages::WaitResponse>().exit_status, 0U);
  const auto first = Begin("Delete", Delete());
  EXPECT_EQ(Ask("Delete", Delete(), Clock::now() + milliseconds(50)).status().code,
            RpcCode::kDeadlineExceeded);
  const auto state = Ask("State", messages::StateRequest{.id = "c", .exec_id = "e"});
  EXPECT_EQ(state.As<messages::StateResponse>().status, messages::Status::kStopped);
  const auto joining = Begin("Delete", Delete());
  size_t read = 0;
  std::string buffer(65536, '\0');
  RunUntil([&] {
    const ssize_t count = ::read(reader.get(), buffer.data(), buffer.size());
    if (count > 0) read += static_cast<size_t>(count);
    return first->done() && joining->done();
  });
  EXPECT_EQ(read, 100000U);
  EXPECT_TRUE(first->ok());
  EXPECT_TRUE(joining->ok());
  EXPECT_EQ(Ask("Delete", Delete()).status().code, RpcCode::kNotFound);
}

TEST_F(ExecCallsTest, APauseDoesNotWaitForAnExecsReader) {
  const std::string out = Fifo();
  Script("echo hello; sleep 1000");
  AddExec(out);
  const auto start = Begin("Start", Start());
  RunFor(milliseconds(50));
  EXPECT_FALSE(start->done());
  const Time begun = Clock::now();
  EXPECT_TRUE(Ask("Pause", messages::PauseRequest{.id = "c"}).ok());
  EXPECT_LT(Clock::now() - begun, seconds(10));
  EXPECT_TRUE(Ask("Resume", messages::ResumeRequest{.id = "c"}).ok());
  const kernel::UniqueFd reader(::open(out.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  RunUntil([&] { return start->done(); });
  EXPECT_TRUE(start->ok()) << start->status().message;
  ASSERT_TRUE(
      Ask("Kill", messages::KillRequest{.id = "c", .exec_id = "e", .signal = SIGKILL}).ok());
  ASSERT_TRUE(Ask("Wait", Wait()).ok());
  EXPECT_TRUE(Ask("Delete", Delete()).ok());
  EXPECT_THAT(Events(), ElementsAre("create", "start", "exec-added", "paused", "resumed",
                                    "exec-started", "exit e"));
}

TEST_F(ExecCallsTest, WhatEndsBeforeItsReaderComesIsAnnouncedInOrder) {
  const std::string out = Fifo();
  Script("exit 7");
  AddExec(out);
  const auto start = Begin("Start", Start());
  const auto wait = Begin("Wait", Wait());
  RunFor(milliseconds(100));
  EXPECT_FALSE(wait->done());
  const kernel::UniqueFd reader(::open(out.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  RunUntil([&] { return start->done() && wait->done(); });
  EXPECT_TRUE(start->ok()) << start->status().message;
  EXPECT_EQ(wait->As<messages::WaitResponse>().exit_status, 7U);
  EXPECT_THAT(Events(), ElementsAre("create", "start", "exec-added", "exec-started", "exit e"));
  EXPECT_TRUE(Ask("Delete", Delete()).ok());
}

TEST_F(ExecCallsTest, AProcessOfAnotherParentIsRefusedAndNotKilled) {
  Fault("exec", "setsid -f sh -c 'echo $$ >" + Path("parent") +
                    "; sleep 1000 & echo $! >\"$1\"; echo $! >" + Path("child") +
                    "; wait' sh \"$pidfile\"; until [ -s " + Path("child") +
                    " ]; do sleep 0.01; done; exit $(cat " + Path("status") + ")");
  const auto read_pid = [this](const std::string& name) {
    const auto text = kernel::ReadFile(Path(name), 100);
    return text ? static_cast<pid_t>(std::stol(*text)) : 0;
  };
  const auto verify = [&](const std::string& method, const auto& request) {
    SCOPED_TRACE(method);
    EXPECT_FALSE(Ask(method, request).ok());
    const pid_t child = read_pid("child");
    EXPECT_EQ(::kill(child, 0), 0);
    EXPECT_EQ(::kill(-read_pid("parent"), SIGKILL), 0);
    RunUntil([&] { return ::kill(child, 0) != 0; });
    std::filesystem::remove(Path("child"));
  };
  for (const char* status : {"0", "1"}) {
    WriteFile(Path("status"), status);
    AddExec();
    verify("Start", Start());
    EXPECT_TRUE(Ask("Delete", Delete()).ok());
    verify("ExecSync", Exec());
  }
}

}  // namespace
}  // namespace gantry::shim
