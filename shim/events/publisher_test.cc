// SPDX-License-Identifier: Apache-2.0
#include "shim/events/publisher.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>

#include "core/kernel/file.h"
#include "core/kernel/testing/matchers.h"
#include "events/task.pb.h"
#include "services/ttrpc/events/v1/events.pb.h"
#include "shim/loop/signals.h"
#include "shim/server/server.h"
#include "shim/server/testing/peer.h"

namespace gantry::shim {
namespace {

namespace pb = ::containerd::events;
using gantry::testing::Succeeds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Forward = ::containerd::services::events::ttrpc::v1::ForwardRequest;

// A daemon's ttrpc server that does with events what the test says.
class PublisherTest : public testing::LoopFixture {
 protected:
  enum class Mood { kTakes, kHangs, kRefuses };

  PublisherTest() {
    methods_["Forward"] = [this](Call call) { return Take(*this, std::move(call)); };
    options_.ns = "k8s.io";
    options_.address = Path();
    options_.attempt_limit = milliseconds(100);
    options_.first_pause = milliseconds(1);
    options_.longest_pause = milliseconds(8);
    options_.idle_limit = milliseconds(50);
    options_.log = [this](const std::string& line) { log_.push_back(line); };
  }
  ~PublisherTest() override {
    hang_.Set();
    if (publisher_ && publisher_->pending()) {
      mood_ = Mood::kTakes;
      if (!server_) StartServer();
      RunUntil([this] { return !publisher_->pending(); });
    }
    publisher_.reset();
    if (server_) RunUntil([this] { return server_->calls() == 0; });
  }

  static Co<Answer> Take(PublisherTest& test, Call call) {
    Forward forward;
    EXPECT_TRUE(forward.ParseFromString(call.payload));
    EXPECT_EQ(call.ns, "k8s.io");
    ++test.attempts_;
    if (test.mood_ == Mood::kHangs) {
      co_await test.hang_.Wait();
      co_return wire::MakeStatus(wire::RpcCode::kUnavailable, "too late");
    }
    if (test.mood_ == Mood::kRefuses) co_return wire::MakeStatus(test.refusal_, "no");
    test.taken_.push_back(forward.envelope());
    co_return "";
  }

  void StartServer() {
    auto socket = ListeningSocket::Bind(Path());
    ASSERT_THAT(socket, Succeeds());
    server_ = *Server::Create(loop_, *std::move(socket), {});
    server_->Register("containerd.services.events.ttrpc.v1.Events", methods_);
  }

  Publisher& publisher() {
    if (!publisher_) publisher_ = std::make_unique<Publisher>(loop_, children_, options_);
    return *publisher_;
  }

  void PublishExits(int from, int to) {
    for (int i = from; i < to; ++i) {
      publisher().Publish(messages::TaskExit{.container_id = "c", .id = std::to_string(i)});
    }
  }

  std::vector<std::string> ExitIds() const {
    std::vector<std::string> ids;
    for (const auto& envelope : taken_) {
      pb::TaskExit exit;
      EXPECT_TRUE(exit.ParseFromString(envelope.event().value()));
      ids.push_back(exit.id());
    }
    return ids;
  }

  bool Flush(Time deadline) {
    std::optional<bool> done;
    Start(FlushInto(publisher(), deadline, done));
    RunUntil([&] { return done.has_value(); });
    return done.value_or(false);
  }
  static Co<void> FlushInto(Publisher& publisher, Time deadline, std::optional<bool>& done) {
    done = co_await publisher.Flush(deadline);
  }

  Children children_{loop_, [](const Exit&) {}};
  std::unique_ptr<Signals> signals_ =
      *Signals::Create(loop_, {SIGCHLD}, [this](int) { children_.Reap(); });
  Event hang_{loop_};
  Mood mood_ = Mood::kTakes;
  wire::RpcCode refusal_ = wire::RpcCode::kInternal;
  int attempts_ = 0;
  std::vector<::containerd::types::Envelope> taken_;
  std::vector<std::string> log_;
  Methods methods_;
  std::unique_ptr<Server> server_;
  PublisherOptions options_;
  std::unique_ptr<Publisher> publisher_;
};

TEST_F(PublisherTest, EveryTopicArrivesWithItsFieldsAndBareTypeUrl) {
  StartServer();
  const auto at =
      std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'250));
  Publisher& p = publisher();
  p.Publish(messages::TaskCreate{.container_id = "c", .bundle = "/b", .pid = 7}, at);
  p.Publish(messages::TaskStart{.container_id = "c", .pid = 7}, at);
  p.Publish(messages::TaskExecAdded{.container_id = "c", .exec_id = "e"}, at);
  p.Publish(messages::TaskExecStarted{.container_id = "c", .exec_id = "e", .pid = 8}, at);
  p.Publish(messages::TaskExit{.container_id = "c", .id = "e", .pid = 8, .exit_status = 3}, at);
  p.Publish(messages::TaskOOM{.container_id = "c"}, at);
  p.Publish(messages::TaskPaused{.container_id = "c"}, at);
  p.Publish(messages::TaskResumed{.container_id = "c"}, at);
  p.Publish(messages::TaskCheckpointed{.container_id = "c", .checkpoint = "/k"}, at);
  p.Publish(messages::TaskDelete{.container_id = "c", .pid = 7, .exit_status = 137}, at);
  RunUntil([&] { return taken_.size() == 10; });
  std::vector<std::string> topics;
  std::vector<std::string> types;
  for (const auto& envelope : taken_) {
    topics.push_back(envelope.topic());
    types.push_back(envelope.event().type_url());
    EXPECT_EQ(envelope.namespace_(), "k8s.io");
    EXPECT_EQ(envelope.timestamp().seconds(), 1'700'000'000);
    EXPECT_EQ(envelope.timestamp().nanos(), 250'000'000);
  }
  EXPECT_THAT(topics,
              ElementsAre("/tasks/create", "/tasks/start", "/tasks/exec-added",
                          "/tasks/exec-started", "/tasks/exit", "/tasks/oom", "/tasks/paused",
                          "/tasks/resumed", "/tasks/checkpointed", "/tasks/delete"));
  EXPECT_THAT(types,
              ElementsAre("containerd.events.TaskCreate", "containerd.events.TaskStart",
                          "containerd.events.TaskExecAdded", "containerd.events.TaskExecStarted",
                          "containerd.events.TaskExit", "containerd.events.TaskOOM",
                          "containerd.events.TaskPaused", "containerd.events.TaskResumed",
                          "containerd.events.TaskCheckpointed", "containerd.events.TaskDelete"));
  pb::TaskExit exit;
  ASSERT_TRUE(exit.ParseFromString(taken_[4].event().value()));
  EXPECT_EQ(exit.container_id(), "c");
  EXPECT_EQ(exit.id(), "e");
  EXPECT_EQ(exit.pid(), 8U);
  EXPECT_EQ(exit.exit_status(), 3U);
}

TEST_F(PublisherTest, OneConnectionServesManyEventsAndIsClosedWhenIdle) {
  StartServer();
  EXPECT_FALSE(publisher().connected());
  PublishExits(0, 100);
  RunUntil([&] { return taken_.size() == 100; });
  EXPECT_EQ(server_->connections(), 1U);
  EXPECT_EQ(attempts_, 100);
  RunUntil([&] { return !publisher().connected(); });
  RunUntil([&] { return server_->connections() == 0; });
  PublishExits(100, 101);
  RunUntil([&] { return taken_.size() == 101; });
}

TEST_F(PublisherTest, WhileTheDaemonIsAwayEventsWaitAndArriveInOrder) {
  PublishExits(0, 20);
  EXPECT_TRUE(publisher().pending());
  EXPECT_FALSE(Flush(Clock::now() + milliseconds(30)));
  EXPECT_EQ(log_.size(), 1U);
  EXPECT_THAT(log_.front(), HasSubstr(Path()));
  StartServer();
  PublishExits(20, 40);
  RunUntil([&] { return taken_.size() == 40; });
  std::vector<std::string> expected;
  for (int i = 0; i < 40; ++i) expected.push_back(std::to_string(i));
  EXPECT_EQ(ExitIds(), expected);
}

TEST_F(PublisherTest, APathWhereNobodyListensIsTriedAgain) {
  {
    auto stale = ListeningSocket::Bind(Path());
    ASSERT_THAT(stale, Succeeds());
    std::move(*stale).Keep();
  }
  PublishExits(0, 2);
  EXPECT_FALSE(Flush(Clock::now() + milliseconds(10)));
  ASSERT_EQ(::unlink(Path().c_str()), 0);
  StartServer();
  RunUntil([&] { return !publisher().pending(); });
  EXPECT_THAT(ExitIds(), ElementsAre("0", "1"));
}

TEST_F(PublisherTest, ADaemonThatHangsIsTriedAgainOnANewConnection) {
  StartServer();
  mood_ = Mood::kHangs;
  PublishExits(0, 3);
  RunUntil([&] { return attempts_ == 2; });
  EXPECT_THAT(taken_, ElementsAre());
  mood_ = Mood::kTakes;
  RunUntil([&] { return !publisher().pending(); });
  EXPECT_THAT(ExitIds(), ElementsAre("0", "1", "2"));
}

TEST_F(PublisherTest, ADaemonThatDiesDuringACallAndReturnsGetsTheEvent) {
  options_.attempt_limit = seconds(30);
  StartServer();
  mood_ = Mood::kHangs;
  PublishExits(0, 3);
  RunUntil([&] { return attempts_ == 1; });
  hang_.Set();  // the call ends with its server
  mood_ = Mood::kTakes;
  server_->StopListening();
  RunUntil([&] { return server_->calls() == 0; });
  server_.reset();
  StartServer();
  RunUntil([&] { return !publisher().pending(); });
  EXPECT_THAT(ExitIds(), ElementsAre("0", "1", "2"));
}

TEST_F(PublisherTest, ADaemonThatRestartedWhileNothingHappenedGetsTheNextEventAtOnce) {
  options_.idle_limit = seconds(30);
  options_.first_pause = seconds(20);
  StartServer();
  PublishExits(0, 1);
  RunUntil([&] { return !publisher().pending(); });
  server_.reset();
  StartServer();
  PublishExits(1, 2);
  RunUntil([&] { return taken_.size() == 2; });
  EXPECT_THAT(log_, ElementsAre());
}

TEST_F(PublisherTest, AnInvalidEventDoesNotHoldUpTheOthers) {
  StartServer();
  mood_ = Mood::kRefuses;
  refusal_ = wire::RpcCode::kInvalidArgument;
  PublishExits(0, 1);
  RunUntil([&] { return !publisher().pending(); });
  EXPECT_EQ(attempts_, 1);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("/tasks/exit refused: no")));
  mood_ = Mood::kTakes;
  PublishExits(1, 2);
  RunUntil([&] { return !publisher().pending(); });
  EXPECT_THAT(ExitIds(), ElementsAre("1"));
}

TEST_F(PublisherTest, ARefusedStartIsGivenUpAndARefusedExitIsNot) {
  StartServer();
  mood_ = Mood::kRefuses;
  publisher().Publish(messages::TaskStart{.container_id = "c", .pid = 1});
  RunUntil([&] { return !publisher().pending(); });
  EXPECT_EQ(attempts_, 5);
  PublishExits(0, 1);
  RunUntil([&] { return attempts_ > 12; });
  mood_ = Mood::kTakes;
  RunUntil([&] { return !publisher().pending(); });
  EXPECT_THAT(ExitIds(), ElementsAre("0"));
}

TEST_F(PublisherTest, ExitsAreKeptBeyondTheCapacityAndOthersDropped) {
  options_.capacity = 4;
  PublishExits(0, 6);
  publisher().Publish(messages::TaskStart{.container_id = "c", .pid = 1});
  EXPECT_EQ(publisher().queued(), 5U);  // and one on its way
  StartServer();
  RunUntil([&] { return !publisher().pending(); });
  EXPECT_THAT(ExitIds(), ElementsAre("0", "1", "2", "3", "4", "5"));
}

TEST_F(PublisherTest, FlushDoesNotSitOutALongPause) {
  options_.first_pause = seconds(20);
  options_.longest_pause = seconds(20);
  PublishExits(0, 2);
  StartServer();
  EXPECT_TRUE(Flush(Clock::now() + seconds(10)));
  EXPECT_EQ(taken_.size(), 2U);
  EXPECT_TRUE(Flush(Clock::now()));
}

TEST_F(PublisherTest, WithoutAnAddressThePublishBinaryIsRun) {
  const std::string script = directory_ + "/daemon";
  ASSERT_THAT(kernel::WriteFileAtomic(script,
                                      "#!/bin/sh\n"
                                      "cd " +
                                          directory_ + " && echo \"$@\" >>args && cat >>input\n",
                                      0700, kernel::Durability::kNone),
              Succeeds());
  options_.address.clear();
  options_.publish_binary = script;
  options_.grpc_address = "/run/d.sock";
  options_.attempt_limit = seconds(30);
  publisher().Publish(messages::TaskOOM{.container_id = "c"});
  RunUntil([&] { return !publisher().pending(); });
  EXPECT_EQ(*kernel::ReadFile(directory_ + "/args", 4096),
            "--address /run/d.sock publish --topic /tasks/oom --namespace k8s.io\n");
  const auto any = messages::Decode<messages::Any>(*kernel::ReadFile(directory_ + "/input", 4096));
  ASSERT_TRUE(any.has_value());
  EXPECT_EQ(any->type_url, "containerd.events.TaskOOM");
  for (const char* name : {"/args", "/input", "/daemon"}) ::unlink((directory_ + name).c_str());
}

TEST_F(PublisherTest, WithoutAnyAddressNothingIsKept) {
  options_.address.clear();
  PublishExits(0, 3);
  EXPECT_FALSE(publisher().pending());
  EXPECT_EQ(publisher().queued(), 0U);
}

TEST(ChooseEventsAddressTest, PrefersWhatTheDaemonSaidLast) {
  EXPECT_EQ(ChooseEventsAddress("/a", "/b", "/c"), "/a");
  EXPECT_EQ(ChooseEventsAddress("", "/b", "/c"), "/b");
  EXPECT_EQ(ChooseEventsAddress("", "", "/c"), "/c.ttrpc");
  EXPECT_EQ(ChooseEventsAddress("", "", ""), "");
}

}  // namespace
}  // namespace gantry::shim
