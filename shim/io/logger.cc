// SPDX-License-Identifier: Apache-2.0
#include "shim/io/logger.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "core/kernel/subprocess.h"
#include "shim/io/endpoint.h"
#include "shim/loop/wait.h"

namespace gantry::shim {
namespace {

// After SIGKILL it is the kernel's to end; one that is stuck there is not waited for.
constexpr std::chrono::seconds kAfterKill{1};

// Its end may have been seen, and its number be free, a moment before its watcher is told.
void Signal(pid_t pid, int signal) {
  siginfo_t info;
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0)
    ::kill(pid, signal);
}

}  // namespace

kernel::Result<std::unique_ptr<Logger>> Logger::Spawn(IoContext& context, const StdioUri& uri,
                                                      const std::string& id, const std::string& ns,
                                                      Streams streams) {
  auto readiness = MakePipe();
  if (!readiness) return readiness.error();
  kernel::SpawnOptions options;
  options.program = uri.path;
  options.arguments = {uri.path};
  for (const auto& [key, value] : uri.query) {
    options.arguments.push_back(key);
    options.arguments.push_back(value);
  }
  options.environment = {"CONTAINER_ID=" + id, "CONTAINER_NAMESPACE=" + ns};
  options.extra_fds = {streams.out, streams.err, readiness->write.get()};
  options.new_session = true;
  auto process = kernel::Subprocess::Spawn(options);
  if (!process) return process.error();
  const pid_t pid = process->pid();
  std::move(*process).Release().Reset();  // the reaper knows it by its pid
  return std::unique_ptr<Logger>(new Logger(context, uri, pid, std::move(readiness->read)));
}

Logger::Logger(IoContext& context, const StdioUri& uri, pid_t pid, kernel::UniqueFd readiness)
    : context_(context),
      path_(uri.path),
      byte_needed_(uri.scheme == "binary-v2"),
      readiness_(std::move(readiness)),
      running_(std::make_shared<Running>(context.loop)) {
  running_->pid = pid;
  Start(Watch(context.children, running_));
}

Co<void> Logger::Watch(Children& children, std::shared_ptr<Running> running) {
  co_await children.Exited(running->pid);
  running->ended.Set();
}

Co<kernel::Result<void>> Logger::Ready(Time deadline) {
  auto ready = co_await WaitReady(context_.loop, readiness_.get(), EPOLLIN, deadline);
  if (!ready) co_return kernel::Error{ready.error().err, "wait for logger " + path_};
  char byte = 0;
  const ssize_t count = ::read(readiness_.get(), &byte, 1);
  readiness_.Reset();
  if (count <= 0 && byte_needed_)
    co_return kernel::Error{EPIPE, "logger " + path_ + " did not become ready"};
  co_return kernel::Result<void>();
}

Co<void> Logger::Stop() { return StopRunning(running_, context_.logger_patience); }

Co<void> Logger::StopRunning(std::shared_ptr<Running> running, Clock::duration patience) {
  if (running->ended.is_set()) co_return;
  Signal(running->pid, SIGTERM);
  // In two steps: GCC 12 lays the frame out wrongly for `if (co_await …)` without a local variable.
  const bool ended = co_await running->ended.Wait(Clock::now() + patience);
  if (ended) co_return;
  Signal(running->pid, SIGKILL);
  co_await running->ended.Wait(Clock::now() + kAfterKill);
}

void Logger::Kill() {
  if (!running_->ended.is_set()) Signal(running_->pid, SIGKILL);
}

}  // namespace gantry::shim
