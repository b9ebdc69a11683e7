// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <utility>

#include "shim/json/process_edit.h"
#include "shim/runtime/pid_file.h"
#include "shim/task/container.h"
#include "shim/task/kill_session.h"
#include "shim/task/scoped_file.h"

namespace gantry::shim {
Co<Reply<messages::StartResponse>> Container::Start(std::string exec_id, Time deadline) {
  const auto self = shared_from_this();
  if (exec_id.empty()) co_return co_await StartInit(Limit(deadline));
  const std::shared_ptr<Process> exec = FindExec(exec_id);
  if (!exec) co_return NoSuchProcess(exec_id);
  co_return co_await StartExec(exec, Limit(deadline));
}

Co<Reply<messages::StartResponse>> Container::StartInit(Time limit) {
  const auto turn = co_await changes_.Enter();
  const Origin origin = request_.checkpoint.empty() ? Origin::kFresh : Origin::kCheckpoint;
  if (auto refused = RefuseInit(Verb::kStart, init_.phase, origin))
    co_return Unknown(*std::move(refused));
  exits_.InitStarting();
  wire::RpcStatus status;
  if (origin == Origin::kCheckpoint) {
    status = co_await Restore(limit);
  } else {
    const RuntimeOutcome outcome = co_await runtime_->Run(StartArguments(id()), limit);
    if (!outcome.ok) status = Failure("OCI runtime start failed: ", outcome);
  }
  if (status.ok()) {
    init_.phase = Phase::kRunning;
    context_.events.Publish(
        messages::TaskStart{.container_id = id(), .pid = static_cast<uint32_t>(init_.pid)});
  }
  exits_.InitStartDone();
  if (!status.ok()) co_return status;
  co_return messages::StartResponse{.pid = static_cast<uint32_t>(init_.pid)};
}

Co<wire::RpcStatus> Container::Restore(Time limit) {
  const RestoreCommand restore{
      .create = CommandOfCreate(),
      .image_path = request_.checkpoint,
      .work_path = options_.criu_work_path.empty() ? InBundle("work") : options_.criu_work_path};
  const auto pending = context_.ledger.Begin();
  auto command =
      runtime_->Spawn(RestoreArguments(restore, id(), FamilyOf(runtime_->settings().binary)),
                      {.stdio = init_.io->RuntimeStdio()}, limit);
  wire::RpcStatus begun = co_await BeginInit(std::move(command), "OCI runtime restore failed: ");
  if (begun.ok()) OwnInit();
  co_return begun;
}

Reply<messages::Empty> Container::AddExec(messages::ExecProcessRequest request) {
  const Origin origin = request_.checkpoint.empty() ? Origin::kFresh : Origin::kCheckpoint;
  if (execs_.contains(request.exec_id))
    return wire::MakeStatus(wire::RpcCode::kAlreadyExists, "id " + request.exec_id);
  if (auto refused = RefuseInit(Verb::kExec, init_.phase, origin))
    return Unknown(*std::move(refused));
  auto spec =
      SetProcessTerminal(request.spec ? request.spec->value : std::string_view(), request.terminal);
  if (!spec)
    return wire::MakeStatus(wire::RpcCode::kInvalidArgument,
                            "exec " + request.exec_id + ": " + spec.error().Text());
  auto exec =
      std::make_shared<Process>(context_.loop, StdioRequest{.terminal = request.terminal,
                                                            .in = std::move(request.stdin),
                                                            .out = std::move(request.stdout),
                                                            .err = std::move(request.stderr),
                                                            .io_uid = options_.io_uid,
                                                            .io_gid = options_.io_gid,
                                                            .id = request.exec_id,
                                                            .ns = context_.ns,
                                                            .bundle = request_.bundle});
  exec->exec_spec = *std::move(spec);
  execs_.emplace(request.exec_id, std::move(exec));
  context_.events.Publish(
      messages::TaskExecAdded{.container_id = id(), .exec_id = request.exec_id});
  return messages::Empty{};
}

Co<Reply<messages::StartResponse>> Container::StartExec(std::shared_ptr<Process> exec, Time limit) {
  std::optional<SharedGate::Inside> inside;
  {
    // What freezes the container is over, or has not begun.
    const auto turn = co_await changes_.Enter();
    inside.emplace(exec_commands_.Enter());
  }
  if (exits_.init_ended()) {
    co_return wire::MakeStatus(wire::RpcCode::kFailedPrecondition,
                               "container " + id() + " init process is not running");
  }
  if (auto refused = RefuseInit(Verb::kExec, init_.phase, Origin::kFresh))
    co_return Unknown(*std::move(refused));
  if (auto refused = RefuseExec(Verb::kStart, exec->phase); refused || exec->starting) {
    co_return Unknown(refused ? *std::move(refused) : "cannot start a starting process");
  }
  exec->starting = true;
  exits_.ExecStarting();
  const wire::RpcStatus status = co_await RunExec(exec, limit);
  LookForOrphans();
  exec->starting = false;
  if (status.ok()) co_return messages::StartResponse{.pid = static_cast<uint32_t>(exec->pid)};
  if (exec->io) co_await exec->io->Close();
  exec->io.reset();
  exec->ended.Set();
  exits_.ExecDone();
  co_return status;
}

// Kills a process that the runtime made and nobody is to know of.
void Container::Discard(pid_t pid) {
  // One that has been reaped is not signalled: its pid may be another's.
  const auto gone = std::make_shared<bool>(false);
  context_.ledger.Own(pid, [gone](const Exit&) { *gone = true; });
  if (!*gone) KillSession(pid, cgroup_);
}

Co<wire::RpcStatus> Container::RunExec(std::shared_ptr<Process> exec, Time limit) {
  const std::string& exec_id = exec->stdio.id;
  const std::string prefix = "OCI runtime exec failed: ";
  auto io = MakeProcessIo(context_.io, exec->stdio);
  if (!io) co_return Unknown(io.error().what);
  exec->io = *std::move(io);
  auto prepared = co_await exec->io->Prepare(Clock::now() + kIoPatience);
  if (!prepared) co_return Unknown("failed to prepare io: " + prepared.error().Text());
  const ScopedFile process_file(InBundle(exec_id + "-process.json"));
  if (auto written = process_file.Write(exec->exec_spec); !written)
    co_return Unknown(prefix + written.error().Text());

  const std::string pid_file = InBundle(exec_id + ".pid");
  RemovePidFile(pid_file);  // of an earlier one
  const auto pending = context_.ledger.Begin();
  auto command = runtime_->Spawn(ExecArguments({.process_file = process_file.path(),
                                                .pid_file = pid_file,
                                                .console_socket = exec->io->console_socket()},
                                               id()),
                                 {.stdio = exec->io->RuntimeStdio()}, limit);
  if (!command) co_return Unknown(prefix + command.error().Text());
  exec->io->Started();
  const RuntimeOutcome outcome = co_await (*std::move(command)).Finish();
  auto pid = ReadPidFile(pid_file);
  // It could not clean up, or it told no pid of what it made.
  if (outcome.killed || (outcome.ok && !pid)) orphans_possible_ = true;
  if (!outcome.ok) {
    if (pid) Discard(*pid);
    co_return Failure(prefix, outcome);
  }
  if (!pid) co_return Unknown(prefix + pid.error().Text());
  auto connected = co_await exec->io->Connect(Clock::now() + kIoPatience);
  if (!connected) {
    Discard(*pid);
    co_return Unknown(prefix + connected.error().Text());
  }
  exec->pid = *pid;
  exec->phase = Phase::kRunning;
  context_.events.Publish(messages::TaskExecStarted{
      .container_id = id(), .exec_id = exec_id, .pid = static_cast<uint32_t>(exec->pid)});
  context_.ledger.Own(exec->pid, [self = shared_from_this(), exec](const Exit& exit) {
    exec->phase = Phase::kStopped;
    self->Announce(*exec, exit);
    self->exits_.ExecDone();
  });
  co_return wire::RpcStatus{};
}

}  // namespace gantry::shim
