// SPDX-License-Identifier: Apache-2.0
// All of a shim but its sockets, on the loop of a test, with a daemon that takes its events.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"
#include "gtest/gtest.h"
#include "shim/cgroup/oom_watcher.h"
#include "shim/events/publisher.h"
#include "shim/fast/fast_service.h"
#include "shim/io/io_context.h"
#include "shim/json/json_string.h"
#include "shim/loop/signals.h"
#include "shim/messages/codec.h"
#include "shim/messages/options.h"
#include "shim/messages/task_events.h"
#include "shim/server/server.h"
#include "shim/task/task_service.h"

namespace gantry::shim::testing {

class FastFixture : public ::testing::Test {
 protected:
  FastFixture() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    ::signal(SIGPIPE, SIG_IGN);
    limit_.After(std::chrono::seconds(60));
    methods_["Forward"] = [this](Call call) { return Take(*this, std::move(call)); };
    daemon_->Register("containerd.services.events.ttrpc.v1.Events", methods_);
  }

  ~FastFixture() override {
    for (const std::string& id : tasks_.ids()) {
      Ask("Kill", messages::KillRequest{.id = id, .signal = SIGKILL, .all = true});
      Ask("Wait", messages::WaitRequest{.id = id});
      EXPECT_TRUE(Ask("Delete", messages::DeleteRequest{.id = id}).ok());
    }
    RunUntil([this] { return !publisher_.pending() && children_.awaited() == 0; });
    EXPECT_EQ(ledger_.owned(), 0U);
    EXPECT_EQ(ledger_.pending(), 0U);
  }

  static Co<Answer> Take(FastFixture& test, Call call) {
    const auto forward = messages::Decode<messages::ForwardRequest>(call.payload);
    if (forward && forward->envelope) test.events_.push_back(*forward->envelope);
    co_return "";
  }

  void RunUntil(const std::function<bool()>& done) {
    Timer look(loop_, [this, &look, &done] {
      if (done() || !limit_.armed()) return loop_.Stop();
      look.After(std::chrono::microseconds(500));
    });
    look.At(Clock::now());
    loop_.Run();
  }
  void RunFor(Clock::duration duration) {
    const Time end = Clock::now() + duration;
    RunUntil([end] { return Clock::now() >= end; });
  }

  // A call under way.
  struct Pending {
    std::optional<Answer> answer;
    std::shared_ptr<Caller> caller = std::make_shared<Caller>();

    bool done() const { return answer.has_value(); }
    wire::RpcStatus status() const {
      const auto* failed = std::get_if<wire::RpcStatus>(&*answer);
      return failed != nullptr ? *failed : wire::RpcStatus{};
    }
    bool ok() const { return status().ok(); }
    template <typename T>
    T As() const {
      EXPECT_TRUE(ok()) << status().message;
      if (!ok()) return {};
      return messages::Decode<T>(std::get<std::string>(*answer)).value_or(T{});
    }
  };

  // Of whichever of the two services has the method.
  template <typename Request>
  std::shared_ptr<Pending> Begin(const std::string& method, const Request& request,
                                 Time deadline = kNever) {
    const auto pending = std::make_shared<Pending>();
    const Methods& fast = fast_.methods();
    const auto found = fast.find(method);
    Call call;
    call.ns = "ns";
    call.deadline = deadline;
    call.payload = messages::Encode(request);
    call.caller = pending->caller;
    const Method& target =
        found != fast.end() ? found->second : tasks_.methods().find(method)->second;
    Start(Keep(target(std::move(call)), pending));
    return pending;
  }
  template <typename Request>
  Pending Ask(const std::string& method, const Request& request, Time deadline = kNever) {
    const auto pending = Begin(method, request, deadline);
    RunUntil([&pending] { return pending->done(); });
    if (!pending->done()) pending->answer = wire::RpcStatus{.code = wire::RpcCode::kInternal};
    return *pending;
  }
  static Co<void> Keep(Co<Answer> running, std::shared_ptr<Pending> pending) {
    pending->answer.emplace(co_await std::move(running));
  }

  messages::ExecSyncResponse ExecSync(messages::ExecSyncRequest request) {
    return Ask("ExecSync", request).As<messages::ExecSyncResponse>();
  }

  // The topics' last words of all events so far, in order: with the exec's id, if it is of one.
  std::vector<std::string> Events() {
    RunUntil([this] { return !publisher_.pending(); });
    std::vector<std::string> names;
    for (const messages::Envelope& envelope : events_) {
      std::string name = envelope.topic.substr(envelope.topic.rfind('/') + 1);
      if (name == "exit") {
        const auto exit = messages::Decode<messages::TaskExit>(envelope.event->value);
        if (exit && exit->id != exit->container_id) name += " " + exit->id;
      }
      names.push_back(std::move(name));
    }
    return names;
  }

  static messages::CreateTaskRequest CreateRequest(const std::string& id, const std::string& bundle,
                                                   const std::string& binary,
                                                   const std::string& root) {
    messages::runc_v1::Options options{.binary_name = binary, .root = root};
    return {.id = id, .bundle = bundle, .options = messages::Pack(options)};
  }

  std::string Path(const std::string& name) const { return dir_.path().string() + "/" + name; }

  void WriteFile(const std::string& path, const std::string& text, mode_t mode = 0644) const {
    EXPECT_TRUE(kernel::WriteFileAtomic(path, text, mode, kernel::Durability::kNone).ok()) << path;
  }

  static size_t OpenFds() {
    size_t count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
  }

  gantry::testing::TempDir dir_;
  std::unique_ptr<Loop> owned_ = *Loop::Create();
  Loop& loop_ = *owned_;
  ExitLedger ledger_{ExitLedger::HostOf(loop_, children_)};
  Children children_{loop_, ChildrenOf(ledger_)};
  std::unique_ptr<Signals> signals_ =
      *Signals::Create(loop_, {SIGCHLD}, [this](int) { children_.Reap(); });
  RuntimeImage runtime_image_;
  IoContext io_{loop_, children_};
  Methods methods_;
  std::unique_ptr<Server> daemon_ =
      *Server::Create(loop_, *ListeningSocket::Bind(Path("events.sock")), {});
  Publisher publisher_{loop_, children_, {.ns = "ns", .address = Path("events.sock")}};
  cgroup::OomWatcher oom_{loop_, [](const std::string&) {}};
  std::vector<std::string> log_;
  TaskContext context_{.loop = loop_,
                       .children = children_,
                       .ledger = ledger_,
                       .runtime_image = runtime_image_,
                       .io = io_,
                       .oom = oom_,
                       .events = publisher_,
                       .ns = "ns",
                       .log = [this](const std::string& line) { log_.push_back(line); },
                       .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}};
  TaskService tasks_{context_, [this] { return ShutDown(this); }, [] { return false; }};
  FastService fast_{context_, tasks_};
  std::vector<messages::Envelope> events_;
  int shut_downs_ = 0;  // how often the server was to end
  Timer limit_{loop_, [] { ADD_FAILURE() << "what the test waits for did not happen"; }};

 private:
  static Co<void> ShutDown(FastFixture* self) {
    ++self->shut_downs_;
    co_return;
  }
};

}  // namespace gantry::shim::testing
