// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "shim/json/process_edit.h"
#include "shim/runtime/memory_file.h"
#include "shim/runtime/pid_file.h"
#include "shim/task/container.h"
#include "shim/task/kill_session.h"

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

wire::RpcStatus Container::MayExec() const {
  if (exits_.init_ended()) {
    return wire::MakeStatus(wire::RpcCode::kFailedPrecondition,
                            "container " + id() + " init process is not running");
  }
  const Origin origin = request_.checkpoint.empty() ? Origin::kFresh : Origin::kCheckpoint;
  if (auto refused = RefuseInit(Verb::kExec, init_.phase, origin))
    return Unknown(*std::move(refused));
  return {};
}

Co<bool> Container::AwaitThaw(Time limit) {
  const std::shared_ptr<Event> thawed = thawed_;
  if (thawed) co_return co_await thawed->Wait(limit);
  co_return true;
}

Co<Reply<messages::StartResponse>> Container::StartExec(std::shared_ptr<Process> exec, Time limit) {
  while (thawed_) {
    if (!co_await AwaitThaw(limit)) {
      co_return wire::MakeStatus(wire::RpcCode::kDeadlineExceeded, "exec in frozen " + id());
    }
  }
  if (auto refused = MayExec(); !refused.ok()) co_return refused;
  if (auto refused = RefuseExec(Verb::kStart, exec->phase); refused || exec->starting) {
    co_return Unknown(refused ? *std::move(refused) : "cannot start a starting process");
  }
  if (exec->ended.is_set()) co_return Unknown("cannot start a process whose start has failed");
  exec->starting = true;
  const wire::RpcStatus status = co_await RunExec(exec, limit);
  LookForOrphans();
  exec->starting = false;
  if (status.ok()) co_return messages::StartResponse{.pid = static_cast<uint32_t>(exec->pid)};
  if (exec->io) co_await exec->io->Close();
  exec->io.reset();
  exec->ended.Set();
  co_return status;
}

// Kills a process that the runtime made and nobody is to know of.
void Container::Discard(pid_t pid) {
  // One that has been reaped is not signalled: its pid may be another's.
  const auto gone = std::make_shared<bool>(false);
  const bool ours = context_.ledger.Own(pid, [gone](const Exit&) { *gone = true; });
  if (ours && !*gone) KillSession(pid, cgroup_);
}

void Container::ExecEnded(const std::shared_ptr<Process>& exec, const Exit& exit) {
  if (exec->phase == Phase::kCreated) {  // its start comes first
    exec->early_exit = exit;
    return;
  }
  exec->phase = Phase::kStopped;
  Announce(*exec, exit);
  exits_.ExecDone();
}

Co<wire::RpcStatus> Container::RunExec(std::shared_ptr<Process> exec, Time limit) {
  auto io = MakeProcessIo(context_.io, exec->stdio);
  if (!io) co_return Unknown(io.error().what);
  exec->io = *std::move(io);
  auto prepared = co_await exec->io->Prepare(Clock::now() + kIoPatience);
  if (!prepared) co_return Unknown("failed to prepare io: " + prepared.error().Text());
  // While the streams were waited for, the container may have been frozen, or have ended.
  while (thawed_) {
    if (!co_await AwaitThaw(limit)) {
      co_return wire::MakeStatus(wire::RpcCode::kDeadlineExceeded, "exec in frozen " + id());
    }
  }
  if (auto refused = MayExec(); !refused.ok()) co_return refused;
  exits_.ExecStarting();
  const wire::RpcStatus made = co_await MakeExec(exec, limit);
  if (!made.ok()) exits_.ExecDone();
  co_return made;
}

// Is inside the gate from its first turn on, until the runtime is done.
Co<wire::RpcStatus> Container::MakeExec(std::shared_ptr<Process> exec, Time limit) {
  std::optional<SharedGate::Inside> inside(exec_commands_.Enter());
  const std::string prefix = "OCI runtime exec failed: ";
  const auto process_file = MemoryFile::Create("exec-process", exec->exec_spec);
  if (!process_file) co_return Unknown(prefix + process_file.error().Text());
  const std::string pid_file = InBundle(exec->stdio.id + ".pid");
  RemovePidFile(pid_file);  // of an earlier one
  std::optional<ExitLedger::Pending> pending(context_.ledger.Begin());
  auto command = runtime_->Spawn(ExecArguments({.process_file = process_file->path(),
                                                .pid_file = pid_file,
                                                .console_socket = exec->io->console_socket()},
                                               id()),
                                 {.stdio = exec->io->RuntimeStdio()}, limit);
  if (!command) co_return Unknown(prefix + command.error().Text());
  exec->io->Started();
  const RuntimeOutcome outcome = co_await (*std::move(command)).Finish();
  inside.reset();
  auto pid = ReadPidFile(pid_file);
  // It could not clean up, or it told no pid of what it made.
  if (outcome.killed || (outcome.ok && !pid)) orphans_possible_ = true;
  if (!outcome.ok) {
    if (pid) Discard(*pid);
    co_return Failure(prefix, outcome);
  }
  if (!pid) co_return Unknown(prefix + pid.error().Text());
  const auto ended = [self = shared_from_this(), exec](const Exit& exit) {
    self->ExecEnded(exec, exit);
  };
  if (!context_.ledger.Own(*pid, ended)) {
    co_return Unknown(prefix + "process " + std::to_string(*pid) + " is no child of the shim");
  }
  pending.reset();
  co_return co_await AnnounceExec(exec, *pid, prefix);
}

Co<wire::RpcStatus> Container::AnnounceExec(std::shared_ptr<Process> exec, pid_t pid,
                                            std::string prefix) {
  auto connected = co_await exec->io->Connect(Clock::now() + kIoPatience);
  if (!connected) {
    if (!exec->early_exit) Discard(pid);
    co_return Unknown(prefix + connected.error().Text());
  }
  exec->pid = pid;
  exec->phase = Phase::kRunning;
  context_.events.Publish(messages::TaskExecStarted{
      .container_id = id(), .exec_id = exec->stdio.id, .pid = static_cast<uint32_t>(pid)});
  if (exec->early_exit) ExecEnded(exec, *exec->early_exit);
  co_return wire::RpcStatus{};
}

}  // namespace gantry::shim
