// SPDX-License-Identifier: Apache-2.0
#include "shim/task/container.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace gantry::shim {
namespace {

StdioRequest InitStdio(const TaskContext& context, const messages::CreateTaskRequest& request,
                       const RuncOptions& options) {
  return {.terminal = request.terminal,
          .in = request.stdin,
          .out = request.stdout,
          .err = request.stderr,
          .io_uid = options.io_uid,
          .io_gid = options.io_gid,
          .id = request.id,
          .ns = context.ns,
          .bundle = request.bundle};
}

}  // namespace

Container::Container(TaskContext& context, messages::CreateTaskRequest request, RuncOptions options)
    : context_(context),
      request_(std::move(request)),
      options_(std::move(options)),
      init_(context.loop, InitStdio(context, request_, options_)),
      exits_({.kill_leftovers = [this] { KillLeftovers(); },
              .announce_init = [this](const Exit& exit) { AnnounceInitExit(exit); }}),
      changes_(context.loop),
      exec_commands_(context.loop) {}

Time Container::Limit(Time deadline) {
  const Time patience = Clock::now() + kRuntimePatience;
  return deadline == kNever ? patience : std::max(patience, deadline);
}

std::shared_ptr<Process> Container::FindExec(const std::string& exec_id) const {
  const auto found = execs_.find(exec_id);
  return found == execs_.end() ? nullptr : found->second;
}

const Process* Container::Find(const std::string& exec_id) const {
  if (exec_id.empty()) return &init_;
  return FindExec(exec_id).get();
}

wire::RpcStatus Container::Failure(const std::string& prefix, const RuntimeOutcome& outcome) {
  if (!outcome.timed_out) return Unknown(prefix + outcome.error);
  return wire::MakeStatus(wire::RpcCode::kDeadlineExceeded, prefix + outcome.error);
}

void Container::Log(const std::string& message) const {
  context_.log("container " + id() + ": " + message);
}

wire::RpcStatus Container::NoSuchProcess(const std::string& exec_id) {
  return wire::MakeStatus(wire::RpcCode::kNotFound, "process does not exist " + exec_id);
}

void Container::KillLeftovers() {
  if (spec_.private_pid_namespace) return;  // the kernel has done it
  if (!cgroup_) return;                     // one without a cgroup cannot be told from others
  if (auto killed = cgroup_->KillAll(); !killed) Log(killed.error().Text());
}

void Container::OutOfMemory() { context_.events.Publish(messages::TaskOOM{.container_id = id()}); }

void Container::AnnounceInitExit(const Exit& exit) {
  if (cgroup_ && context_.oom.ReadLast(id())) OutOfMemory();
  if (init_.phase == Phase::kPaused || init_.phase == Phase::kPausing)
    shim::Start(ThawQuietly(shared_from_this()));
  init_.phase = Phase::kStopped;
  Announce(init_, exit);
}

void Container::Announce(Process& process, const Exit& exit) {
  process.exit = exit;
  if (process.io) process.io->ProcessExited();
  context_.events.Publish(
      messages::TaskExit{.container_id = id(),
                         .id = process.stdio.id,
                         .pid = static_cast<uint32_t>(process.pid),
                         .exit_status = static_cast<uint32_t>(exit.status.AsShellCode()),
                         .exited_at = ToTimestamp(exit.at)},
      exit.at);
  process.ended.Set();
}

// The freezer of cgroup v1 would stop a delete.
Co<void> Container::ThawQuietly(std::shared_ptr<Container> self) {
  const auto turn = co_await self->changes_.Enter();
  const RuntimeOutcome thawed =
      co_await self->runtime_->Run(ResumeArguments(self->id()), Limit(kNever));
  if (!thawed.ok) self->Log("resume what has ended: " + thawed.error);
}

}  // namespace gantry::shim
