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
  const std::shared_ptr<Process> exec = FindExec(exec_id);
  if (!exec_id.empty() && !exec) co_return NoSuchProcess(exec_id);
  Process& process = exec ? *exec : init_;
  if (const std::shared_ptr<Deletion> running = process.deletion) {
    if (!co_await running->done.Wait(deadline)) {
      co_return wire::MakeStatus(wire::RpcCode::kDeadlineExceeded,
                                 "delete of " + process.stdio.id + " goes on");
    }
    co_return *running->answer;
  }
  const auto mine = process.deletion = std::make_shared<Deletion>(context_.loop);
  if (exec) {
    mine->answer.emplace(co_await DeleteExec(exec, deadline));
  } else {
    mine->answer.emplace(co_await DeleteInit(deadline));
  }
  mine->done.Set();
  process.deletion.reset();
  co_return *mine->answer;
}

Co<Reply<messages::DeleteResponse>> Container::DeleteInit(Time deadline) {
  const auto turn = co_await changes_.Enter();
  if (deleted()) co_return wire::MakeStatus(wire::RpcCode::kNotFound, "container not created");
  if (auto refused = RefuseInit(Verb::kDelete, init_.phase, Origin::kFresh))
    co_return Unknown(*std::move(refused));
  if (auto failed = co_await Dismantle(deadline); !failed.ok()) co_return failed;
  init_.phase = Phase::kDeleted;
  init_.ended.Set();
  context_.oom.Forget(id());
  const messages::DeleteResponse response = Outcome(init_);
  context_.events.Publish(messages::TaskDelete{.container_id = id(),
                                               .pid = response.pid,
                                               .exit_status = response.exit_status,
                                               .exited_at = response.exited_at});
  co_return response;
}

Co<kernel::Result<void>> Container::Unmount(Time limit) {
  if (!mounted_) co_return kernel::Result<void>();
  const bool plain = request_.rootfs.size() == 1 && request_.rootfs.front().target.empty();
  auto unmounted =
      co_await UnmountRootfs(context_.loop, context_.children, request_.bundle, plain, limit);
  if (unmounted) mounted_ = false;
  co_return unmounted;
}

Co<void> Container::UnmountAndTell(std::shared_ptr<Container> self, std::shared_ptr<Unmounting> to,
                                   Time limit) {
  to->result = co_await self->Unmount(limit);
  to->done.Set();
}

std::shared_ptr<Container::Unmounting> Container::BeginUnmount(Time limit) {
  auto unmounting = std::make_shared<Unmounting>(context_.loop);
  shim::Start(UnmountAndTell(shared_from_this(), unmounting, limit));
  return unmounting;
}

// Whatever ran in the rootfs has ended with its PID namespace, and no hook wants to see it.
bool Container::RootfsIsDone() const {
  return init_.exit && spec_.private_pid_namespace && !spec_.hooks;
}

// The runtime's delete, the end of the output and, where nothing is left in it, the rootfs's do not
// wait for each other: unmounting writes a file system out.
Co<wire::RpcStatus> Container::Dismantle(Time deadline) {
  const Time limit = Limit(deadline);
  const auto drained = std::make_shared<Event>(context_.loop);
  if (init_.pid != 0) {
    shim::Start(DrainAndTell(shared_from_this(), *init_.io, DrainLimit(deadline), drained));
  } else {
    drained->Set();  // it never wrote
  }
  std::shared_ptr<Unmounting> unmounting;
  if (RootfsIsDone()) unmounting = BeginUnmount(limit);
  RuntimeOutcome outcome{.ok = true};
  if (runtime_has_state_) {
    // What a restore that failed has left has no process of ours.
    outcome = co_await runtime_->Run(DeleteArguments(id(), init_.pid == 0), limit);
    // A checkpoint that ends the container leaves nothing to delete.
    if (!outcome.ok && !runtime_->Knows(id())) outcome.ok = true;
    if (outcome.ok && init_.pid != 0) co_await init_.ended.Wait(Clock::now() + kExitPatience);
  }
  co_await drained->Wait();
  if (unmounting) co_await unmounting->done.Wait();
  if (!outcome.ok) co_return Failure("failed to delete task: ", outcome);
  co_await init_.io->Close();
  if (!unmounting) {
    unmounting = BeginUnmount(limit);
    co_await unmounting->done.Wait();
  }
  if (!unmounting->result)
    co_return Unknown("failed rootfs umount: " + unmounting->result.error().Text());
  co_return wire::RpcStatus{};
}

Co<Reply<messages::DeleteResponse>> Container::DeleteExec(std::shared_ptr<Process> exec,
                                                          Time deadline) {
  if (auto refused = RefuseExec(Verb::kDelete, exec->phase)) co_return Unknown(*std::move(refused));
  if (exec->starting) co_return Unknown("cannot delete a starting process");
  if (exec->io) {
    co_await exec->io->Drain(DrainLimit(deadline));
    co_await exec->io->Close();
  }
  exec->phase = Phase::kDeleted;
  exec->ended.Set();
  RemovePidFile(InBundle(exec->stdio.id + ".pid"));
  execs_.erase(exec->stdio.id);
  co_return Outcome(*exec);
}

}  // namespace gantry::shim
