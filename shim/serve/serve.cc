// SPDX-License-Identifier: Apache-2.0
#include "shim/serve/serve.h"

#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "core/kernel/cgroup.h"
#include "shim/cgroup/oom_watcher.h"
#include "shim/events/publisher.h"
#include "shim/fast/fast_service.h"
#include "shim/idle/memory.h"
#include "shim/idle/quiet.h"
#include "shim/io/io_context.h"
#include "shim/io/stream_service.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"
#include "shim/loop/signals.h"
#include "shim/process/children.h"
#include "shim/process/helper.h"
#include "shim/runtime/binary.h"
#include "shim/sandbox/sandbox_service.h"
#include "shim/serve/shim_log.h"
#include "shim/server/leak_guard.h"
#include "shim/server/server.h"
#include "shim/task/exit_ledger.h"
#include "shim/task/task_context.h"
#include "shim/task/task_service.h"

namespace gantry::shim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr Clock::duration kLeakLimit = minutes(10);
constexpr Clock::duration kFlushLimit = seconds(2);
// Less than a second, after which a server whose last container is deleted has ended.
constexpr Clock::duration kJoinPatience = std::chrono::milliseconds(500);
constexpr Clock::duration kIdlePause = seconds(1);
constexpr int kMmapThresholdBytes = 64 << 10;
// A daemon makes a connection for each stream that it takes from here.
constexpr size_t kMaxConnections = 1024;

// How long a server that nobody uses stays: as many seconds as the environment says, 0 for ever.
Clock::duration LeakLimit() {
  const char* text = std::getenv("GANTRY_SHIM_UNUSED_SECONDS");
  if (text == nullptr) return kLeakLimit;
  const char* end = text + std::strlen(text);
  unsigned number = 0;
  const auto [rest, failed] = std::from_chars(text, end, number);
  if (failed != std::errc() || rest != end || rest == text) {
    Log("warning", std::string("GANTRY_SHIM_UNUSED_SECONDS is no number: ") + text);
    return kLeakLimit;
  }
  return seconds(number);
}

PublisherOptions EventsOf(const ServerSettings& settings) {
  return {.ns = settings.ns,
          .address = settings.events_address,
          .publish_binary = settings.publish_binary,
          .grpc_address = settings.grpc_address,
          .log = [](const std::string& message) { Log("warning", message); }};
}

// All that a shim is, and how its parts know each other.
class Shim {
 public:
  Shim(Loop& loop, const ServerSettings& settings)
      : loop_(loop),
        ledger_(ExitLedger::HostOf(loop, children_)),
        children_(loop, ChildrenOf(ledger_)),
        io_(loop, children_),
        events_(loop, children_, EventsOf(settings)),
        oom_(loop, [this](const std::string& id) { tasks_.OutOfMemory(id); }),
        context_{.loop = loop,
                 .children = children_,
                 .ledger = ledger_,
                 .runtime_image = runtime_image_,
                 .io = io_,
                 .oom = oom_,
                 .events = events_,
                 .ns = settings.ns,
                 .log = [](const std::string& line) { Log("warning", line); },
                 .environment = RuntimeEnvironment()},
        tasks_(
            context_, [this] { return ShutDown(this); }, [this] { return InUse(); }),
        sandbox_(context_, tasks_),
        fast_(context_, tasks_),
        streams_(io_),
        ask_again_(loop, [this] { shim::Start(AskAgain(this)); }),
        leak_guard_(
            loop, LeakLimit(), [this] { return Unused(); }, [this] { Expire(); }),
        quiet_(loop, kIdlePause, [this] { ReleaseMemory(); }) {}

  kernel::Result<void> Start(ListeningSocket socket, kernel::UniqueFd connection) {
    auto signals = Signals::Create(loop_, {SIGCHLD, SIGTERM, SIGINT, SIGUSR1},
                                   [this](int signal) { OnSignal(signal); });
    if (!signals) return signals.error();
    signals_ = *std::move(signals);
    auto server =
        Server::Create(loop_, std::move(socket),
                       {.ns = context_.ns, .max_connections = kMaxConnections, .on_change = [this] {
                          leak_guard_.Look();
                        }});
    if (!server) return server.error();
    server_ = *std::move(server);
    for (const char* service : {"containerd.task.v2.Task", "containerd.task.v3.Task"}) {
      server_->Register(service, tasks_.methods());
    }
    server_->Register("containerd.runtime.sandbox.v1.Sandbox", sandbox_.methods());
    server_->Register("gantry.shim.v1.Fast", fast_.methods());
    server_->RegisterStreams("gantry.shim.v1.Fast", fast_.streams());
    server_->RegisterExchanges("containerd.services.streaming.v1.Streaming", streams_.methods());
    if (connection) {
      server_->Adopt(std::move(connection));
    } else {
      shim::Start(ExpectCgroupChange(this));  // our own daemon has seen to that
    }
    leak_guard_.Look();
    return {};
  }

 private:
  void OnSignal(int signal) {
    switch (signal) {
      case SIGCHLD:
        children_.Reap();
        return;
      case SIGUSR1:
        Dump();
        return;
      default:
        Stop();
    }
  }

  bool Unused() const {
    return tasks_.containers() == 0 && !sandbox_.exists() && server_->connections() == 0;
  }

  void ReleaseMemory() {
    runtime_image_.Drop();
    ReleaseIdleMemory();
  }

  // A container is about to be made.
  static Co<void> ExpectCgroupChange(Shim* shim) {
    std::function<kernel::Result<void>()> work = kernel::RejoinOwnCgroup;
    // Without the right to, nothing is gained, and nothing lost.
    (void)co_await RunInHelper(shim->loop_, shim->children_, std::move(work));
  }

  void Expire() {
    // Who has just found that we are here is about to come.
    if (server_->LastLook() >= Clock::now() - kJoinPatience) return leak_guard_.Look();
    Stop();
  }

  // Who has found that we are here, as the `start` of a container does that shall join us, is about
  // to come; if not, what was asked for now is done then.
  bool InUse() {
    if (sandbox_.exists()) return true;
    const Time look = server_->LastLook();
    const Time now = Clock::now();
    if (look < tasks_.last_create() || look < now - kJoinPatience) return false;
    ask_again_.After(look + kJoinPatience - now + std::chrono::milliseconds(1));
    return true;
  }

  static Co<void> AskAgain(Shim* shim) {
    messages::ShutdownRequest request;
    (void)co_await shim->tasks_.Shutdown(std::move(request), kNever);
  }

  void Stop() {
    server_->StopListening();
    loop_.Stop();
  }

  // The socket's name is free before the caller is answered: who finds it gone starts a new server.
  static Co<void> ShutDown(Shim* shim) {
    shim->server_->StopListening();
    co_await shim->events_.Flush(Clock::now() + kFlushLimit);
    shim->loop_.Post([shim] { shim::Start(StopWhenAnswered(shim)); });
  }

  static Co<void> StopWhenAnswered(Shim* shim) {
    co_await shim->server_->Flush(Clock::now() + kFlushLimit);
    shim->loop_.Stop();
  }

  void Dump() {
    const struct mallinfo2 memory = ::mallinfo2();
    Log("info",
        "containers " + std::to_string(tasks_.containers()) + ", sandboxes " +
            std::to_string(sandbox_.exists() ? 1 : 0) + ", connections " +
            std::to_string(server_->connections()) + ", calls " + std::to_string(server_->calls()) +
            ", events queued " + std::to_string(events_.queued()) + ", commands " +
            std::to_string(children_.awaited()) + ", processes " + std::to_string(ledger_.owned()) +
            ", watched fds " + std::to_string(loop_.watches()) + ", timers " +
            std::to_string(loop_.timers()) + ", heap bytes " + std::to_string(memory.uordblks));
  }

  Loop& loop_;
  ExitLedger ledger_;
  Children children_;
  RuntimeImage runtime_image_;
  IoContext io_;
  Publisher events_;
  cgroup::OomWatcher oom_;
  TaskContext context_;
  TaskService tasks_;
  SandboxService sandbox_;
  FastService fast_;
  StreamService streams_;
  std::unique_ptr<Signals> signals_;
  std::unique_ptr<Server> server_;
  Timer ask_again_;
  LeakGuard leak_guard_;
  Quiet quiet_;
};

}  // namespace

int ServeTasks(ServeOptions options) {
  ::mallopt(M_MMAP_THRESHOLD, kMmapThresholdBytes);
  OpenLog();
  auto loop = Loop::Create();
  if (!loop) {
    Log("error", loop.error().Text());
    return EXIT_FAILURE;
  }
  Shim* const shim = new Shim(**loop, options.settings);
  auto started = shim->Start(std::move(options.socket), std::move(options.connection));
  if (!started) {
    Log("error", started.error().Text());
    return EXIT_FAILURE;
  }
  (*loop)->Run();
  // Calls may be waiting still; nobody takes them apart.
  std::_Exit(EXIT_SUCCESS);
}

}  // namespace gantry::shim
