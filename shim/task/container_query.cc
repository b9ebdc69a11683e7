// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <string>
#include <utility>

#include "shim/task/container.h"

namespace gantry::shim {
namespace {

messages::Status StatusOf(Phase phase) {
  switch (phase) {
    case Phase::kCreated:
      return messages::Status::kCreated;
    case Phase::kRunning:
      return messages::Status::kRunning;
    case Phase::kPausing:
      return messages::Status::kPausing;
    case Phase::kPaused:
      return messages::Status::kPaused;
    case Phase::kStopped:
      return messages::Status::kStopped;
    case Phase::kDeleted:
      break;
  }
  return messages::Status::kUnknown;
}

}  // namespace

Reply<messages::StateResponse> Container::State(const std::string& exec_id) const {
  const Process* process = Find(exec_id);
  if (process == nullptr) return NoSuchProcess(exec_id);
  messages::StateResponse response{.id = process->stdio.id,
                                   .bundle = request_.bundle,
                                   .pid = static_cast<uint32_t>(process->pid),
                                   .status = StatusOf(process->phase),
                                   .stdin = process->stdio.in,
                                   .stdout = process->stdio.out,
                                   .stderr = process->stdio.err,
                                   .terminal = process->stdio.terminal};
  // What freezes the container freezes its execs.
  if (init_.phase == Phase::kPausing || init_.phase == Phase::kPaused)
    response.status = StatusOf(init_.phase);
  if (process->exit) {
    response.exit_status = static_cast<uint32_t>(process->exit->status.AsShellCode());
    response.exited_at = ToTimestamp(process->exit->at);
  }
  return response;
}

Co<Reply<messages::WaitResponse>> Container::Wait(std::string exec_id, Time deadline,
                                                  std::shared_ptr<Caller> caller) {
  const auto self = shared_from_this();
  const std::shared_ptr<Process> exec = FindExec(exec_id);
  if (!exec_id.empty() && !exec) co_return NoSuchProcess(exec_id);
  Process& process = exec ? *exec : init_;
  GiveUp give_up;
  std::optional<CallerWatch> watch;
  if (caller) watch.emplace(caller, [&give_up] { give_up.Now(); });
  if (!co_await process.ended.Wait(deadline, give_up)) {
    const bool left = caller && caller->gone();
    co_return wire::MakeStatus(left ? wire::RpcCode::kCanceled : wire::RpcCode::kDeadlineExceeded,
                               "wait for " + process.stdio.id);
  }
  messages::WaitResponse response;
  if (process.exit) {
    response.exit_status = static_cast<uint32_t>(process.exit->status.AsShellCode());
    response.exited_at = ToTimestamp(process.exit->at);
  }
  co_return response;
}

bool Container::HasStats() const { return cgroup_ && cgroup_->Exists(); }

Reply<messages::StatsResponse> Container::Stats() {
  if (!cgroup_) return wire::MakeStatus(wire::RpcCode::kNotFound, "cgroup does not exist");
  const Time now = Clock::now();
  // Some files of the kernel take long to make, and who asks in a circle gets the same again.
  if (!stats_ || now - stats_time_ > kStatsAge) {
    stats_ = cgroup_->Metrics();
    stats_time_ = now;
  }
  return messages::StatsResponse{.stats = stats_};
}

}  // namespace gantry::shim
