// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <strings.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "shim/task/container.h"

namespace gantry::shim {
namespace {

wire::RpcStatus Finished() {
  return wire::MakeStatus(wire::RpcCode::kNotFound, "process already finished");
}

bool Contains(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) {
    return ::tolower(static_cast<unsigned char>(a)) == ::tolower(static_cast<unsigned char>(b));
  };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

// What a runtime says of a kill that failed.
wire::RpcStatus KillError(const RuntimeOutcome& outcome) {
  const std::string text = outcome.error + "\n" + outcome.output;
  for (const char* gone :
       {"os: process already finished", "container not running", "no such process"}) {
    if (Contains(text, gone)) return Finished();
  }
  return Unknown("unknown error after kill: " + outcome.error);
}

wire::RpcStatus Signal(pid_t pid, int signal) {
  if (::kill(pid, signal) == 0) return {};
  if (errno == ESRCH) return Finished();
  return Unknown("unknown error after kill: " + std::string(::strerrordesc_np(errno)));
}

}  // namespace

Co<Reply<messages::Empty>> Container::Kill(std::string exec_id, int signal, bool all,
                                           Time deadline) {
  const auto self = shared_from_this();
  if (exec_id.empty()) co_return co_await KillInit(signal, all, deadline);
  const std::shared_ptr<Process> exec = FindExec(exec_id);
  if (!exec) co_return NoSuchProcess(exec_id);
  if (exec->phase == Phase::kCreated) {
    co_return wire::MakeStatus(wire::RpcCode::kFailedPrecondition, "process not created");
  }
  // An exec is our child: until it is reaped, its pid is nobody else's.
  if (exec->phase != Phase::kRunning) co_return Finished();
  const wire::RpcStatus status = Signal(exec->pid, signal);
  if (!status.ok()) co_return status;
  co_return messages::Empty{};
}

Co<Reply<messages::Empty>> Container::KillInit(int signal, bool all, Time deadline) {
  if (deleted()) co_return wire::MakeStatus(wire::RpcCode::kNotFound, "container not created");
  wire::RpcStatus status;
  if (exits_.init_ended() && !all) {
    status = Finished();
  } else if (!all && MaySignalDirectly()) {
    status = Signal(init_.pid, signal);
  } else {
    const RuntimeOutcome outcome =
        co_await runtime_->Run(KillArguments(id(), signal, all), Limit(deadline));
    if (!outcome.ok) {
      status = runtime_->Knows(id())
                   ? KillError(outcome)
                   : wire::MakeStatus(wire::RpcCode::kNotFound, "no such container");
    }
  }
  if (!status.ok()) co_return status;
  co_return messages::Empty{};
}

// These runtimes do the same; others may have a machine in between. What is frozen, the runtime
// thaws where it must.
bool Container::MaySignalDirectly() const {
  const std::string& binary = runtime_->settings().binary;
  const std::string_view name = std::string_view(binary).substr(binary.rfind('/') + 1);
  return (name == "runc" || name == "crun" || name == "youki") && init_.pid > 0 &&
         (init_.phase == Phase::kCreated || init_.phase == Phase::kRunning);
}

Reply<messages::PidsResponse> Container::Pids() const {
  if (deleted()) return wire::MakeStatus(wire::RpcCode::kNotFound, "container not created");
  messages::PidsResponse response;
  if (!cgroup_) return response;
  auto pids = cgroup_->Pids();
  if (!pids) return Unknown(pids.error().Text());
  for (const pid_t pid : *pids) {
    messages::ProcessInfo info{.pid = static_cast<uint32_t>(pid)};
    const auto exec = std::find_if(execs_.begin(), execs_.end(), [pid](const auto& entry) {
      return entry.second->pid == pid && entry.second->phase == Phase::kRunning;
    });
    if (exec != execs_.end())
      info.info = messages::Pack(messages::runc_v1::ProcessDetails{.exec_id = exec->first});
    response.processes.push_back(std::move(info));
  }
  return response;
}

}  // namespace gantry::shim
