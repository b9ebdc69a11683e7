// SPDX-License-Identifier: Apache-2.0
#include "shim/serve/serve.h"

#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "shim/cgroup/oom_watcher.h"
#include "shim/events/publisher.h"
#include "shim/io/io_context.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"
#include "shim/loop/signals.h"
#include "shim/process/children.h"
#include "shim/runtime/binary.h"
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
constexpr int kMmapThresholdBytes = 64 << 10;

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
        children_(loop, [this](const Exit& exit) { ledger_.Ended(exit); }),
        io_(loop, children_),
        events_(loop, children_, EventsOf(settings)),
        oom_(loop, [this](const std::string& id) { tasks_.OutOfMemory(id); }),
        context_{.loop = loop,
                 .children = children_,
                 .ledger = ledger_,
                 .io = io_,
                 .oom = oom_,
                 .events = events_,
                 .ns = settings.ns,
                 .log = [](const std::string& line) { Log("warning", line); },
                 .environment = RuntimeEnvironment()},
        tasks_(context_, [this] { return ShutDown(this); }),
        leak_guard_(
            loop, kLeakLimit, [this] { return Unused(); }, [this] { Stop(); }) {}

  kernel::Result<void> Start(ListeningSocket socket) {
    auto signals = Signals::Create(loop_, {SIGCHLD, SIGTERM, SIGINT, SIGUSR1},
                                   [this](int signal) { OnSignal(signal); });
    if (!signals) return signals.error();
    signals_ = *std::move(signals);
    auto server = Server::Create(loop_, std::move(socket),
                                 {.ns = context_.ns, .on_change = [this] { leak_guard_.Look(); }});
    if (!server) return server.error();
    server_ = *std::move(server);
    for (const char* service : {"containerd.task.v2.Task", "containerd.task.v3.Task"}) {
      server_->Register(service, tasks_.methods());
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

  bool Unused() const { return tasks_.containers() == 0 && server_->connections() == 0; }

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
        "containers " + std::to_string(tasks_.containers()) + ", connections " +
            std::to_string(server_->connections()) + ", calls " + std::to_string(server_->calls()) +
            ", events queued " + std::to_string(events_.queued()) + ", commands " +
            std::to_string(children_.awaited()) + ", processes " + std::to_string(ledger_.owned()) +
            ", watched fds " + std::to_string(loop_.watches()) + ", timers " +
            std::to_string(loop_.timers()) + ", heap bytes " + std::to_string(memory.uordblks));
  }

  Loop& loop_;
  ExitLedger ledger_;
  Children children_;
  IoContext io_;
  Publisher events_;
  cgroup::OomWatcher oom_;
  TaskContext context_;
  TaskService tasks_;
  std::unique_ptr<Signals> signals_;
  std::unique_ptr<Server> server_;
  LeakGuard leak_guard_;
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
  if (auto started = shim->Start(std::move(options.socket)); !started) {
    Log("error", started.error().Text());
    return EXIT_FAILURE;
  }
  (*loop)->Run();
  // Calls may be waiting still; nobody takes them apart.
  std::_Exit(EXIT_SUCCESS);
}

}  // namespace gantry::shim
