// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/wire/ttrpc_frame.h"
#include "shim/io/endpoint.h"
#include "shim/io/output_head.h"
#include "shim/json/process_edit.h"
#include "shim/json/spec_scan.h"
#include "shim/runtime/memory_file.h"
#include "shim/runtime/pid_file.h"
#include "shim/task/container.h"
#include "shim/task/left_process.h"
#include "shim/task/sync_exec.h"

namespace gantry::shim {
namespace {

constexpr const char* kFailed = "OCI runtime exec failed: ";

// Two outputs and what stands beside them are one message.
constexpr uint64_t kMaxOutputBytes = (wire::kMaxFrameBytes - (64UL << 10)) / 2;

constexpr Clock::duration kDrainPatience = std::chrono::seconds(10);
// Of what was killed nothing holds the outputs open for long.
constexpr Clock::duration kKilledDrainPatience = std::chrono::milliseconds(500);

uint64_t OutputLimit(uint64_t wanted) {
  return wanted == 0 ? kMaxOutputBytes : std::min(wanted, kMaxOutputBytes);
}

// Zero is no duration.
Time After(int64_t nanos, Time otherwise) {
  if (nanos == 0) return otherwise;
  const Time now = Clock::now();
  const std::chrono::nanoseconds duration(std::max<int64_t>(nanos, 0));
  return kNever - now <= duration ? kNever : now + duration;
}

// Both outputs of an exec.
struct Outputs {
  Outputs(IoContext& context, std::array<Pipe, 2>& pipes, const messages::ExecSyncRequest& request)
      : ended(context.loop),
        out(context, std::move(pipes[0].read), OutputLimit(request.max_stdout_bytes),
            [this] { Look(); }),
        err(context, std::move(pipes[1].read), OutputLimit(request.max_stderr_bytes),
            [this] { Look(); }) {}

  void Look() {
    if (!out.open() && !err.open()) ended.Set();
  }

  Event ended;
  OutputHead out;
  OutputHead err;
};

// By which an exec can be cancelled; empty: it cannot.
class TokenEntry {
 public:
  using Execs = std::map<std::string, std::shared_ptr<SyncExec>>;

  TokenEntry(Execs& execs, const std::string& token, std::shared_ptr<SyncExec> exec)
      : execs_(execs), token_(token) {
    if (!token_.empty()) execs_.emplace(token_, std::move(exec));
  }
  TokenEntry(const TokenEntry&) = delete;
  ~TokenEntry() { execs_.erase(token_); }

 private:
  Execs& execs_;
  const std::string token_;
};

class ExecPidFile {
 public:
  explicit ExecPidFile(std::string path) : path_(std::move(path)) {}
  ExecPidFile(const ExecPidFile&) = delete;
  ~ExecPidFile() { RemovePidFile(path_); }

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

kernel::Result<std::array<Pipe, 2>> MakePipes(const RuncOptions& options) {
  std::array<Pipe, 2> pipes;
  for (Pipe& pipe : pipes) {
    auto made = MakePipe();
    if (!made) return made.error();
    pipe = *std::move(made);
    auto given = GiveTo(pipe.write.get(), options.io_uid, options.io_gid);
    if (!given) return given.error();
    if (auto set = SetNonBlocking(pipe.read.get()); !set) return set.error();
  }
  return pipes;
}

}  // namespace

kernel::Result<std::string> Container::SyncSpec(const messages::ExecSyncRequest& request) const {
  if (!request.process.empty()) return SetProcessTerminal(request.process, false);
  if (request.args.empty()) return kernel::Error{EINVAL, "neither process nor args"};
  auto own = ReadSpecProcess(InBundle("config.json"));
  if (!own) return own.error();
  auto process = SetProcessArgs(*own, request.args);
  if (!process) return process.error();
  return SetProcessTerminal(*process, false);
}

Co<Reply<messages::ExecSyncResponse>> Container::ExecSync(messages::ExecSyncRequest request,
                                                          Time deadline,
                                                          std::shared_ptr<Caller> caller) {
  const auto self = shared_from_this();
  auto spec = SyncSpec(request);
  if (!spec) {
    co_return wire::MakeStatus(wire::RpcCode::kInvalidArgument,
                               "exec in " + id() + ": " + spec.error().Text());
  }
  const Time limit = std::min(deadline, After(request.timeout_nano, kNever));
  if (sync_execs_.contains(request.token))
    co_return wire::MakeStatus(wire::RpcCode::kAlreadyExists, "exec token " + request.token);
  const auto exec = std::make_shared<SyncExec>(context_.loop, cgroup_);
  const TokenEntry entry(sync_execs_, request.token, exec);
  const CallerWatch watch(caller, [exec] { exec->Stop(); });
  // What freezes the container is over, or has not begun. Other changes are not waited for.
  while (thawed_) {
    if (!co_await AwaitThaw(limit)) {
      co_return wire::MakeStatus(wire::RpcCode::kDeadlineExceeded, "exec in frozen " + id());
    }
  }
  if (auto refused = MayExec(); !refused.ok()) co_return refused;
  if (exec->stopped()) co_return wire::MakeStatus(wire::RpcCode::kCanceled, "exec in " + id());
  auto pipes = MakePipes(options_);
  if (!pipes) co_return Unknown("failed to prepare io: " + pipes.error().Text());
  Outputs outputs(context_.io, *pipes, request);
  Timer timer(context_.loop, [exec] { exec->Stop(); });
  timer.At(limit);
  const wire::RpcStatus begun =
      co_await BeginSync(exec, *std::move(spec), std::move(*pipes), limit);
  LookForOrphans();
  const bool late = exec->stopped();
  if (!begun.ok()) exec->Stop();  // the runtime may have made it, and failed then
  if (exec->known()) co_await exec->Over();
  if (!begun.ok() && !late) co_return begun;

  const Clock::duration patience = exec->stopped() ? kKilledDrainPatience : kDrainPatience;
  Time drained = Clock::now() + patience;
  if (!exec->stopped()) drained = std::min(limit, After(request.drain_nano, drained));
  const CallerWatch gone(caller, [&outputs] { outputs.ended.Set(); });
  co_await outputs.ended.Wait(drained);
  messages::ExecSyncResponse response{.timed_out = exec->stopped(),
                                      .output_open = outputs.out.open() || outputs.err.open()};
  outputs.out.Cut();
  outputs.err.Cut();
  response.stdout_truncated = outputs.out.truncated();
  response.stderr_truncated = outputs.err.truncated();
  response.stdout = outputs.out.Take();
  response.stderr = outputs.err.Take();
  const Exit killed{.status = {.signal = SIGKILL}, .at = std::chrono::system_clock::now()};
  const Exit exit = exec->exit().value_or(killed);
  response.exit_status = static_cast<uint32_t>(exit.status.AsShellCode());
  response.exited_at = ToTimestamp(exit.at);
  co_return response;
}

// Ends when the process runs. Counted as an exec from here on, until its exit has been seen.
Co<wire::RpcStatus> Container::BeginSync(std::shared_ptr<SyncExec> exec, std::string spec,
                                         std::array<Pipe, 2> pipes, Time limit) {
  const auto inside = exec_commands_.Enter();
  const auto process = MemoryFile::Create("exec-process", spec);
  if (!process) co_return Unknown(kFailed + process.error().Text());
  // Runtimes put it in place under another name first, so it has to be in a directory.
  const ExecPidFile pid_file(InBundle(".exec-" + std::to_string(next_sync_exec_++) + ".pid"));
  const auto pending = context_.ledger.Begin();
  const LeftProcess left(pipes);
  OciRuntime::Streams streams;
  streams.stdio = {kernel::Stdio::Null(), kernel::Stdio::Fd(pipes[0].write.get()),
                   kernel::Stdio::Fd(pipes[1].write.get())};
  auto command = runtime_->Spawn(
      ExecArguments({.process_file = process->path(), .pid_file = pid_file.path()}, id()),
      std::move(streams), std::min(limit, Limit(kNever)));
  if (!command) co_return Unknown(kFailed + command.error().Text());
  for (Pipe& pipe : pipes) pipe.write.Reset();
  exits_.ExecStarting();
  const RuntimeOutcome outcome = co_await (*std::move(command)).Finish();
  auto pid = ReadPidFile(pid_file.path());
  // It could not clean up, or it told no pid of what it made.
  if (outcome.killed || (outcome.ok && !pid)) orphans_possible_ = true;
  if (!pid && outcome.killed) {
    if (const auto found = left.Find()) pid = *found;
  }
  if (!pid) {
    exits_.ExecDone();
    co_return outcome.ok ? Unknown(kFailed + pid.error().Text()) : Failure(kFailed, outcome);
  }
  const auto ended = [self = shared_from_this(), exec](const Exit& exit) {
    exec->Ended(exit);
    self->exits_.ExecDone();
  };
  if (!context_.ledger.Own(*pid, ended)) {
    exits_.ExecDone();
    if (!outcome.ok) co_return Failure(kFailed, outcome);
    co_return Unknown(kFailed + ("process " + std::to_string(*pid) + " is no child of the shim"));
  }
  if (!exec->exit()) exec->Runs(*pid);
  if (!outcome.ok) co_return Failure(kFailed, outcome);
  co_return wire::RpcStatus{};
}

Reply<messages::Empty> Container::CancelExec(const std::string& token) {
  const auto found = sync_execs_.find(token);
  if (found == sync_execs_.end())
    return wire::MakeStatus(wire::RpcCode::kNotFound, "exec token " + token);
  found->second->Stop();
  return messages::Empty{};
}

}  // namespace gantry::shim
