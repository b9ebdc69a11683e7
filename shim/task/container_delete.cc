// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <utility>

#include "shim/runtime/pid_file.h"
#include "shim/task/container.h"
#include "shim/task/rootfs.h"

namespace gantry::shim {
namespace {

constexpr Clock::duration kDrainPatience = std::chrono::seconds(10);
// How long the end of a process may take that the runtime has killed.
constexpr Clock::duration kExitPatience = std::chrono::seconds(2);

// Half of what the caller has left is for the rest of the work.
Time DrainLimit(Time deadline) {
  const Time now = Clock::now();
  if (deadline == kNever) return now + kDrainPatience;
  return now +
         std::clamp(Clock::duration((deadline - now) / 2), Clock::duration::zero(), kDrainPatience);
}

Co<void> DrainAndTell(std::shared_ptr<Container> /*self*/, ProcessIo& io, Time limit,
                      std::shared_ptr<Event> done) {
  co_await io.Drain(limit);
  done->Set();
}

messages::DeleteResponse Outcome(const Process& process) {
  messages::DeleteResponse response{.pid = static_cast<uint32_t>(process.pid)};
  if (process.exit) {
    response.exit_status = static_cast<uint32_t>(process.exit->status.AsShellCode());
    response.exited_at = ToTimestamp(process.exit->at);
  }
  return response;
}

}  // namespace

Co<Reply<messages::DeleteResponse>> Container::Delete(std::string exec_id, Time deadline) {
  const auto self = shared_from_this();
  if (!exec_id.empty()) co_return co_await DeleteExec(std::move(exec_id), deadline);
  if (const std::shared_ptr<Deletion> running = deletion_) {
    if (!co_await running->done.Wait(deadline)) {
      co_return wire::MakeStatus(wire::RpcCode::kDeadlineExceeded,
                                 "delete of " + id() + " goes on");
    }
    co_return *running->answer;
  }
  const auto mine = deletion_ = std::make_shared<Deletion>(context_.loop);
  mine->answer.emplace(co_await DeleteInit(deadline));
  mine->done.Set();
  deletion_.reset();
  co_return *mine->answer;
}

Co<Reply<messages::DeleteResponse>> Container::DeleteInit(Time deadline) {
  const auto turn = co_await changes_.Enter();
  if (deleted()) co_return wire::MakeStatus(wire::RpcCode::kNotFound, "container not created");
  if (auto refused = RefuseInit(Verb::kDelete, init_.phase, Origin::kFresh))
    co_return Unknown(*std::move(refused));
  if (auto failed = co_await Dismantle(deadline); !failed.ok()) co_return failed;
  init_.phase = Phase::kDeleted;
  context_.oom.Forget(id());
  const messages::DeleteResponse response = Outcome(init_);
  context_.events.Publish(messages::TaskDelete{.container_id = id(),
                                               .pid = response.pid,
                                               .exit_status = response.exit_status,
                                               .exited_at = response.exited_at});
  co_return response;
}

// The runtime's delete and the end of the output do not wait for each other.
Co<wire::RpcStatus> Container::Dismantle(Time deadline) {
  const Time limit = Limit(deadline);
  const auto drained = std::make_shared<Event>(context_.loop);
  if (init_.pid != 0) {
    shim::Start(DrainAndTell(shared_from_this(), *init_.io, DrainLimit(deadline), drained));
  } else {
    drained->Set();  // it never wrote
  }
  RuntimeOutcome outcome{.ok = true};
  if (runtime_has_state_) {
    // What a restore that failed has left has no process of ours.
    outcome = co_await runtime_->Run(DeleteArguments(id(), init_.pid == 0), limit);
    // A checkpoint that ends the container leaves nothing to delete.
    if (!outcome.ok && !runtime_->Knows(id())) outcome.ok = true;
    if (outcome.ok && init_.pid != 0) co_await init_.ended.Wait(Clock::now() + kExitPatience);
  }
  co_await drained->Wait();
  if (!outcome.ok) co_return Failure("failed to delete task: ", outcome);
  co_await init_.io->Close();
  if (mounted_) {
    auto unmounted =
        co_await UnmountRootfs(context_.loop, context_.children, request_.bundle, limit);
    if (!unmounted) co_return Unknown("failed rootfs umount: " + unmounted.error().Text());
  }
  co_return wire::RpcStatus{};
}

Co<Reply<messages::DeleteResponse>> Container::DeleteExec(std::string exec_id, Time deadline) {
  const std::shared_ptr<Process> exec = FindExec(exec_id);
  if (!exec) co_return NoSuchProcess(exec_id);
  if (auto refused = RefuseExec(Verb::kDelete, exec->phase)) co_return Unknown(*std::move(refused));
  if (exec->starting) co_return Unknown("cannot delete a starting process");
  exec->phase = Phase::kDeleted;
  if (exec->io) {
    co_await exec->io->Drain(DrainLimit(deadline));
    co_await exec->io->Close();
  }
  RemovePidFile(InBundle(exec_id + ".pid"));
  execs_.erase(exec_id);
  co_return Outcome(*exec);
}

}  // namespace gantry::shim
