// SPDX-License-Identifier: Apache-2.0
#include "shim/fast/fast_service.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "shim/fast/testing/scripted_fixture.h"
#include "shim/runtime/pid_file.h"
#include "shim/server/testing/peer.h"

namespace gantry::shim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using wire::RpcCode;

constexpr int64_t kMillisecond = 1'000'000;

class FastServiceTest : public testing::ScriptedFixture {};

TEST_F(FastServiceTest, AnswersWithOutputsAndStatus) {
  Run();
  Script("echo out; echo err >&2; exit 3");
  const auto before = std::chrono::system_clock::now().time_since_epoch();
  const auto response = ExecSync(Exec());
  EXPECT_EQ(response.stdout, "out\n");
  EXPECT_EQ(response.stderr, "err\n");
  EXPECT_EQ(response.exit_status, 3U);
  ASSERT_TRUE(response.exited_at.has_value());
  EXPECT_GE(seconds(response.exited_at->seconds + 1), before);
  EXPECT_FALSE(response.timed_out || response.stdout_truncated || response.stderr_truncated ||
               response.output_open);
  EXPECT_THAT(Events(), ElementsAre("create", "start"));
}

TEST_F(FastServiceTest, TheRuntimeGetsTheProcessWithoutTerminal) {
  Run();
  Fault("exec", "cp $process " + Path("seen"));
  Script("true");
  ExecSync({.id = "c", .args = {"a b", "\"c\""}});
  EXPECT_EQ(*kernel::ReadFile(Path("seen"), 1000),
            R"({"terminal":false,"args":["a b","\"c\""],"cwd":"/"})");
  ExecSync({.id = "c", .process = R"({"args":["x"],"terminal":true,"unknown":1})"});
  EXPECT_EQ(*kernel::ReadFile(Path("seen"), 1000),
            R"({"args":["x"],"terminal":false,"unknown":1})");
}

TEST_F(FastServiceTest, WhatIsTooLongIsReadAndDropped) {
  Run();
  Script("head -c 3000000 /dev/zero | tr '\\0' a; head -c 99 /dev/zero | tr '\\0' b >&2");
  auto request = Exec();
  request.max_stdout_bytes = 1000;
  request.max_stderr_bytes = 99;
  auto response = ExecSync(request);
  EXPECT_EQ(response.stdout, std::string(1000, 'a'));
  EXPECT_TRUE(response.stdout_truncated);
  EXPECT_EQ(response.stderr, std::string(99, 'b'));
  EXPECT_FALSE(response.stderr_truncated);
  EXPECT_EQ(response.exit_status, 0U);
  // By default, as much as a message takes.
  response = ExecSync(Exec());
  EXPECT_EQ(response.stdout.size(), 2064384U);
  EXPECT_TRUE(response.stdout_truncated);
}

TEST_F(FastServiceTest, RequestsWithoutSenseAreRefused) {
  EXPECT_EQ(Ask("ExecSync", Exec()).status().code, RpcCode::kNotFound);
  EXPECT_EQ(Ask("ExecSync", Exec()).status().message, "container not created: not found");
  Run();
  EXPECT_EQ(Ask("ExecSync", messages::ExecSyncRequest{.id = "c"}).status().code,
            RpcCode::kInvalidArgument);
  EXPECT_EQ(Ask("ExecSync", messages::ExecSyncRequest{.id = "c", .process = "[]"}).status().code,
            RpcCode::kInvalidArgument);
  Ask("Kill", messages::KillRequest{.id = "c", .signal = SIGKILL});
  Ask("Wait", messages::WaitRequest{.id = "c"});
  const auto late = Ask("ExecSync", Exec());
  EXPECT_EQ(late.status().code, RpcCode::kFailedPrecondition);
  EXPECT_THAT(late.status().message, HasSubstr("container c init process is not running"));
}

TEST_F(FastServiceTest, ErrorsOfTheRuntimeReadAsThoseOfAStart) {
  Run();
  Fault("exec", "echo no such program >&2; exit 1");
  ASSERT_TRUE(Ask("Exec",
                  messages::ExecProcessRequest{
                      .id = "c", .exec_id = "e", .spec = messages::Any{.value = "{}"}})
                  .ok());
  const auto start = Ask("Start", messages::StartRequest{.id = "c", .exec_id = "e"});
  const auto sync = Ask("ExecSync", Exec());
  // What it wrote to stderr went to the container's.
  EXPECT_EQ(sync.status().message, "OCI runtime exec failed: exit status 1");
  EXPECT_EQ(sync.status(), start.status());
}

TEST_F(FastServiceTest, AtTheTimeoutTheSessionIsKilled) {
  Run();
  Script("echo begun; sh -c 'sleep 1000' & exec sleep 1000");
  auto request = Exec();
  request.timeout_nano = 300 * kMillisecond;
  const Time begun = Clock::now();
  const auto response = ExecSync(request);
  EXPECT_TRUE(response.timed_out);
  EXPECT_EQ(response.exit_status, 137U);
  EXPECT_EQ(response.stdout, "begun\n");
  // Else the second process would hold the output.
  EXPECT_FALSE(response.output_open);
  EXPECT_LT(Clock::now() - begun, seconds(2));
}

TEST_F(FastServiceTest, ARuntimeThatHangsEndsWithTheTimeout) {
  Run();
  Fault("exec", "sleep 1000");
  auto request = Exec();
  request.timeout_nano = 200 * kMillisecond;
  EXPECT_TRUE(ExecSync(request).timed_out);
  // Also one that has made the process before.
  Fault("exec", "setsid sleep 1000 & echo $! >\"$pidfile\"; sleep 1000");
  EXPECT_TRUE(ExecSync(request).timed_out);
  RunUntil([this] { return ledger_.owned() == 1; });
  EXPECT_EQ(Ask("ExecSync", request, Clock::now() + milliseconds(50)).ok(), true);
  RunUntil([this] { return ledger_.owned() == 1; });
}

TEST_F(FastServiceTest, ARuntimeKilledBeforeItToldTheProcessLeavesNone) {
  Run();
  const std::string made = Path("made");
  const std::string make = "setsid sh -c 'echo $$ >" + made + "; exec sleep 1000' & ";
  const std::string wait = "until [ -s " + made + " ]; do sleep 0.01; done; ";
  const auto is_gone = [](pid_t pid) { return ::kill(pid, 0) != 0; };
  Fault("exec", make + "sleep 1000");
  auto request = Exec();
  request.timeout_nano = 1000 * kMillisecond;
  EXPECT_TRUE(ExecSync(request).timed_out);
  const auto pid = ReadPidFile(made);
  ASSERT_TRUE(pid);
  RunUntil([&] { return is_gone(*pid); });
  // Killed by somebody else, and while it writes the file that tells.
  const size_t files = FilesInBundle();
  std::filesystem::remove(made);
  Fault("exec", make + wait + "echo 1 >\"${pidfile%/*}/.${pidfile##*/}\"; kill -9 $$");
  EXPECT_FALSE(Ask("ExecSync", Exec()).ok());
  const auto other = ReadPidFile(made);
  ASSERT_TRUE(other);
  EXPECT_NE(*other, *pid);
  EXPECT_EQ(FilesInBundle(), files);
  RunUntil([&] { return is_gone(*other); });
}

TEST_F(FastServiceTest, ARuntimeThatFailsAfterItMadeTheProcessLeavesNone) {
  Run();
  Fault("exec", "setsid sleep 1000 & echo $! >\"$pidfile\"; exit 1");
  EXPECT_EQ(Ask("ExecSync", Exec()).status().message, "OCI runtime exec failed: exit status 1");
  RunUntil([this] { return ledger_.owned() == 1; });
}

TEST_F(FastServiceTest, ACallerThatLeavesTakesTheProcessAlong) {
  Run();
  Script("sleep 1000");
  const auto call = Begin("ExecSync", Exec());
  RunUntil([this] { return ledger_.owned() == 2; });
  call->caller->Leave();
  RunUntil([&] { return call->done() && ledger_.owned() == 1; });
  // While the runtime still makes it.
  Fault("exec", "sleep 0.3");
  const auto early = Begin("ExecSync", Exec());
  RunFor(milliseconds(50));
  early->caller->Leave();
  RunUntil([&] { return early->done() && ledger_.owned() == 1 && children_.awaited() == 0; });
  EXPECT_TRUE(early->done());
}

TEST_F(FastServiceTest, ACallCanBeCancelled) {
  Run();
  Script("sleep 1000");
  auto request = Exec();
  request.token = "t";
  const auto call = Begin("ExecSync", request);
  RunUntil([this] { return ledger_.owned() == 2; });
  EXPECT_EQ(Ask("ExecSync", request).status().code, RpcCode::kAlreadyExists);
  EXPECT_EQ(Ask("CancelExec", messages::CancelExecRequest{.id = "c", .token = "u"}).status().code,
            RpcCode::kNotFound);
  EXPECT_TRUE(Ask("CancelExec", messages::CancelExecRequest{.id = "c", .token = "t"}).ok());
  RunUntil([&] { return call->done(); });
  EXPECT_TRUE(call->As<messages::ExecSyncResponse>().timed_out);
  EXPECT_EQ(Ask("CancelExec", messages::CancelExecRequest{.id = "c", .token = "t"}).status().code,
            RpcCode::kNotFound);
}

TEST_F(FastServiceTest, ADescendantThatKeepsTheOutputIsWaitedForButNotForLong) {
  Run();
  Script("setsid sh -c 'sleep 0.2; echo late; sleep 2' & echo done");
  auto request = Exec();
  request.drain_nano = 1000 * kMillisecond;
  const auto response = ExecSync(request);
  EXPECT_EQ(response.stdout, "done\nlate\n");
  EXPECT_TRUE(response.output_open);
  EXPECT_FALSE(response.timed_out);
  EXPECT_EQ(response.exit_status, 0U);
}

TEST_F(FastServiceTest, TheExitOfTheInitProcessWaitsForIt) {
  Run();
  Script("sleep 0.3; echo done");
  const auto exec = Begin("ExecSync", Exec());
  RunUntil([this] { return ledger_.owned() == 2; });
  const auto wait = Begin("Wait", messages::WaitRequest{.id = "c"});
  ASSERT_TRUE(Ask("Kill", messages::KillRequest{.id = "c", .signal = SIGKILL}).ok());
  RunUntil([this] { return ledger_.owned() == 1; });
  EXPECT_FALSE(wait->done());
  EXPECT_THAT(Events(), ElementsAre("create", "start"));
  RunUntil([&] { return exec->done(); });
  EXPECT_EQ(exec->As<messages::ExecSyncResponse>().stdout, "done\n");
  RunUntil([&] { return wait->done(); });
  EXPECT_THAT(Events(), ElementsAre("create", "start", "exit"));
}

TEST_F(FastServiceTest, AnExecThatFailsDoesNotHoldTheExitBack) {
  Run();
  Fault("exec", "exit 1");
  EXPECT_FALSE(Ask("ExecSync", Exec()).ok());
  ASSERT_TRUE(Ask("Kill", messages::KillRequest{.id = "c", .signal = SIGKILL}).ok());
  EXPECT_TRUE(Ask("Wait", messages::WaitRequest{.id = "c"}).ok());
}

TEST_F(FastServiceTest, OtherOperationsAreNotWaitedFor) {
  Run();
  Script("echo now");
  Fault("update", "sleep 1");
  messages::UpdateTaskRequest change{.id = "c", .resources = messages::Any{.value = "{}"}};
  const auto update = Begin("Update", change);
  EXPECT_EQ(ExecSync(Exec()).stdout, "now\n");
  EXPECT_FALSE(update->done());
  RunUntil([&] { return update->done(); });
}

TEST_F(FastServiceTest, WhatFreezesTheContainerIsWaitedFor) {
  Run();
  Script("echo now");
  Fault("pause", "sleep 0.3; exit 1");
  auto pause = Begin("Pause", messages::PauseRequest{.id = "c"});
  const auto exec = Begin("ExecSync", Exec());
  RunFor(milliseconds(100));
  EXPECT_FALSE(exec->done());
  EXPECT_EQ(Ask("ExecSync", Exec(), Clock::now() + milliseconds(50)).status().code,
            RpcCode::kDeadlineExceeded);
  RunUntil([&] { return exec->done(); });
  EXPECT_EQ(exec->As<messages::ExecSyncResponse>().stdout, "now\n");
  Fault("pause", "true");
  pause = Begin("Pause", messages::PauseRequest{.id = "c"});
  EXPECT_THAT(Ask("ExecSync", Exec()).status().message, HasSubstr("cannot exec in a paused"));
  EXPECT_TRUE(Ask("Resume", messages::ResumeRequest{.id = "c"}).ok());
  EXPECT_EQ(ExecSync(Exec()).stdout, "now\n");
}

TEST_F(FastServiceTest, NothingIsLeftBehind) {
  Run();
  Script("echo out; echo err >&2");
  ExecSync(Exec());
  Events();
  const size_t fds = OpenFds();
  const size_t files = FilesInBundle();
  const size_t timers = loop_.timers();
  std::vector<std::shared_ptr<Pending>> calls;
  for (int i = 0; i < 20; ++i) {
    auto request = Exec();
    if (i % 4 == 1) request.timeout_nano = kMillisecond;
    calls.push_back(Begin("ExecSync", request));
    if (i % 4 == 2) calls.back()->caller->Leave();
  }
  RunUntil([&] {
    return std::all_of(calls.begin(), calls.end(), [](const auto& call) { return call->done(); });
  });
  RunUntil([this] { return ledger_.owned() == 1 && children_.awaited() == 0; });
  EXPECT_EQ(OpenFds(), fds);
  EXPECT_EQ(FilesInBundle(), files);
  EXPECT_LE(loop_.timers(), timers + 1);  // of the buffer for copying
}

TEST_F(FastServiceTest, CreateStartAnswersAsTheTwoDo) {
  const auto response = Ask("CreateStart", Create()).As<messages::StartResponse>();
  const auto state = Ask("State", messages::StateRequest{.id = "c"}).As<messages::StateResponse>();
  EXPECT_EQ(state.status, messages::Status::kRunning);
  EXPECT_EQ(state.pid, response.pid);
  EXPECT_THAT(Events(), ElementsAre("create", "start"));
  EXPECT_EQ(Ask("CreateStart", Create()).status().code, RpcCode::kAlreadyExists);
}

TEST_F(FastServiceTest, ACreateStartThatFailsLeavesNoContainer) {
  Fault("create", "exit 1");
  EXPECT_EQ(Ask("CreateStart", Create()).status().message,
            "OCI runtime create failed: exit status 1");
  EXPECT_THAT(Events(), IsEmpty());
  Fault("create", "");
  Fault("start", "exit 2");
  EXPECT_EQ(Ask("CreateStart", Create()).status().message,
            "OCI runtime start failed: exit status 2");
  EXPECT_EQ(Ask("State", messages::StateRequest{.id = "c"}).status().code, RpcCode::kNotFound);
  EXPECT_THAT(Events(), ElementsAre("create", "exit", "delete"));
  EXPECT_EQ(ledger_.owned(), 0U);
  EXPECT_THAT(log_, IsEmpty());
  // One that cannot be deleted either stays, for a Delete to come.
  Fault("delete", "exit 3");
  EXPECT_EQ(Ask("CreateStart", Create()).status().message,
            "OCI runtime start failed: exit status 2");
  EXPECT_THAT(log_, ElementsAre(HasSubstr("undo create: failed to delete task: exit status 3")));
  Fault("delete", "");
  EXPECT_TRUE(Ask("Delete", messages::DeleteRequest{.id = "c"}).ok());
}

TEST_F(FastServiceTest, StatsAreOfThoseThatExist) {
  ASSERT_TRUE(Ask("CreateStart", Create("b")).ok());
  ASSERT_TRUE(Ask("CreateStart", Create("a")).ok());
  const auto names = [this](const messages::StatsBatchRequest& request) {
    std::vector<std::string> ids;
    for (const auto& entry : Ask("StatsBatch", request).As<messages::StatsBatchResponse>().stats) {
      EXPECT_TRUE(entry.stats && !entry.stats->value.empty());
      ids.push_back(entry.id);
    }
    return ids;
  };
  EXPECT_THAT(names({}), ElementsAre("a", "b"));
  EXPECT_THAT(names({.ids = {"b", "gone", "a"}}), ElementsAre("b", "a"));
  EXPECT_THAT(names({.ids = {"gone"}}), IsEmpty());
}

// Readers over sockets of their own, of a container that logs to a file.
class AttachTest : public FastServiceTest {
 protected:
  AttachTest() {
    // The init process says what it is told.
    Fault("create",
          "mkdir -p \"$root/$id\"; exec 3<&0\n"
          "sh -c \"$(cat \"$script\")\" <&3 3<&- & echo $! >\"$root/$id/pid\"\n"
          "echo $! >\"$pidfile\"; exit 0");
    server_->Register("gantry.shim.v1.Fast", fast_.methods());
    server_->RegisterStreams("gantry.shim.v1.Fast", fast_.streams());
    EXPECT_EQ(::mkfifo(Path("in").c_str(), 0600), 0);
    in_ = kernel::UniqueFd(::open(Path("in").c_str(), O_RDWR | O_CLOEXEC));
  }
  ~AttachTest() override {
    readers_.clear();
    RunUntil([this] { return server_->calls() == 0 && server_->connections() == 0; });
  }

  void RunWithLog(const std::string& scheme, const std::string& script) {
    Script(script);
    auto create = Create();
    create.stdin = Path("in");
    create.stdout = scheme + "://" + Path("log");
    ASSERT_TRUE(Ask("CreateStart", create).ok());
  }
  void Say(const std::string& text) {
    ASSERT_EQ(::write(in_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  struct Reader {
    Reader(Loop& loop, const std::string& path) : peer(loop, path) {}
    testing::Peer peer;
    std::string out;
    std::string err;
    size_t messages = 0;
    std::optional<wire::RpcStatus> end;

    void Look() {
      for (; !peer.events.empty(); peer.events.pop_front()) {
        const wire::ClientEvent& event = peer.events.front();
        if (event.kind != wire::ClientEvent::Kind::kMessage) {
          end = event.response.status;
          continue;
        }
        const auto piece = messages::Decode<messages::AttachResponse>(event.message);
        ASSERT_TRUE(piece);
        ++messages;
        out += piece->stdout;
        err += piece->stderr;
      }
    }
  };
  Reader& Attach(messages::AttachRequest request) {
    readers_.push_back(std::make_unique<Reader>(loop_, Path("fast.sock")));
    Reader& reader = *readers_.back();
    EXPECT_TRUE(reader.peer.wire
                    .Start({.service = "gantry.shim.v1.Fast",
                            .method = "Attach",
                            .payload = messages::Encode(request)},
                           wire::ClientConnection::Mode::kServerStream)
                    .ok());
    reader.peer.Push({});
    RunUntil([&] {
      reader.Look();
      return reader.messages > 0 || reader.end;
    });
    return reader;
  }
  void ReadUntil(Reader& reader, const std::function<bool()>& done) {
    RunUntil([&] {
      reader.Look();
      return done();
    });
  }

  std::unique_ptr<Server> server_ =
      *Server::Create(loop_, *ListeningSocket::Bind(Path("fast.sock")), {});
  kernel::UniqueFd in_;
  std::vector<std::unique_ptr<Reader>> readers_;
};

TEST_F(AttachTest, ReadersReadAlongToTheEnd) {
  RunWithLog("cri+file", "while read x; do echo $x; echo e$x >&2; done");
  Say("first\n");
  RunUntil(
      [this] { return kernel::ReadFile(Path("log"), 1000)->find("efirst") != std::string::npos; });
  Reader& both = Attach({.id = "c", .stdout = true, .stderr = true});
  Reader& err = Attach({.id = "c", .stderr = true});
  Say("a\nb");
  ReadUntil(both, [&] { return both.err == "ea\n"; });
  EXPECT_EQ(both.out, "a\n");
  Say("\n");
  ReadUntil(both, [&] { return both.out == "a\nb\n" && both.err == "ea\neb\n"; });
  in_.Reset();
  Ask("CloseIO", messages::CloseIORequest{.id = "c", .stdin = true});
  ReadUntil(both, [&] { return both.end.has_value(); });
  ReadUntil(err, [&] { return err.end.has_value(); });
  EXPECT_TRUE(both.end->ok() && err.end->ok());
  EXPECT_EQ(err.out, "");
  EXPECT_EQ(err.err, "ea\neb\n");
}

TEST_F(AttachTest, AStoppedReaderIsCutOffAndDelaysNobody) {
  constexpr size_t kPiece = 500'000;  // less than what a reader may be behind
  constexpr size_t kPieces = 16;
  RunWithLog("file", "while read x; do head -c 500000 /dev/zero | tr '\\0' y; done");
  Reader& one = Attach({.id = "c", .stdout = true, .stderr = true});
  Reader& stopped = Attach({.id = "c", .stdout = true, .stderr = true});
  Reader& two = Attach({.id = "c", .stdout = true, .stderr = true});
  stopped.peer.StopReading();
  for (size_t piece = 1; piece <= kPieces; ++piece) {
    Say("go\n");
    ReadUntil(one, [&] {
      two.Look();
      return one.out.size() == piece * kPiece && two.out.size() == piece * kPiece;
    });
  }
  EXPECT_EQ(one.out, two.out);
  EXPECT_FALSE(one.end.has_value() || two.end.has_value());
  EXPECT_EQ(kernel::ReadFile(Path("log"), 9000000)->size(), kPieces * kPiece);
  stopped.peer.ReadOn();
  ReadUntil(stopped, [&] { return stopped.end.has_value(); });
  EXPECT_EQ(stopped.end->code, RpcCode::kResourceExhausted);
  EXPECT_LT(stopped.out.size(), 4000000U);
  in_.Reset();
}

TEST_F(AttachTest, ReadersLeaveRoomForTheDaemon) {
  RunWithLog("file", "read x");
  for (int i = 0; i < 32; ++i) {
    EXPECT_FALSE(Attach({.id = "c", .stdout = true}).end.has_value());
  }
  Reader& refused = Attach({.id = "c", .stdout = true});
  ReadUntil(refused, [&] { return refused.end.has_value(); });
  EXPECT_EQ(refused.end->code, RpcCode::kResourceExhausted);
  EXPECT_TRUE(Ask("State", messages::StateRequest{.id = "c"}).ok());
  in_.Reset();
}

TEST_F(AttachTest, ARotatedLogGoesOnWithoutALostOrDoubledLine) {
  RunWithLog("cri+file", "i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done");
  int rotations = 0;
  const auto ended = Begin("Wait", messages::WaitRequest{.id = "c"});
  while (!ended->done()) {
    RunFor(milliseconds(5));
    const std::string old = Path("log." + std::to_string(rotations++));
    ASSERT_EQ(::rename(Path("log").c_str(), old.c_str()), 0);
    ASSERT_TRUE(Ask("ReopenLog", messages::ReopenLogRequest{.id = "c"}).ok());
  }
  EXPECT_GT(rotations, 2);
  ASSERT_TRUE(Ask("Delete", messages::DeleteRequest{.id = "c"}).ok());
  std::string all;
  for (int i = 0; i < rotations; ++i)
    all += *kernel::ReadFile(Path("log." + std::to_string(i)), 9000000);
  all += *kernel::ReadFile(Path("log"), 9000000);
  std::string lines;
  for (size_t start = 0; start < all.size(); start = all.find('\n', start) + 1)
    lines += all.substr(start + 31, all.find('\n', start) - start - 30);
  std::string wanted;
  for (int i = 0; i < 20000; ++i) wanted += "stdout F line-" + std::to_string(i) + "\n";
  EXPECT_TRUE(lines == wanted);
}

TEST_F(AttachTest, WhatHasNoLogFileIsRefused) {
  EXPECT_EQ(Attach({.id = "c", .stdout = true}).end->code, RpcCode::kNotFound);
  EXPECT_EQ(Ask("ReopenLog", messages::ReopenLogRequest{.id = "c"}).status().code,
            RpcCode::kNotFound);
  Script("exec sleep 1000 </dev/null >/dev/null 2>&1");
  Run();
  EXPECT_EQ(Attach({.id = "c", .stdout = true}).end->code, RpcCode::kFailedPrecondition);
  EXPECT_EQ(Attach({.id = "c"}).end->code, RpcCode::kInvalidArgument);
  EXPECT_EQ(Attach({.id = "c", .exec_id = "e", .stdout = true}).end->code, RpcCode::kNotFound);
  EXPECT_EQ(Ask("ReopenLog", messages::ReopenLogRequest{.id = "c"}).status().code,
            RpcCode::kFailedPrecondition);
}

}  // namespace
}  // namespace gantry::shim
