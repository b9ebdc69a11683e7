// SPDX-License-Identifier: Apache-2.0
// The end of all containers at once.
#include <signal.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shim/task/task_service.h"

namespace gantry::shim {
namespace {

// How long what was killed may take to end.
constexpr Clock::duration kKillPatience = std::chrono::seconds(10);

}  // namespace

struct TaskService::Stopping {
  Stopping(Loop& loop, size_t count) : left(count), done(loop) {}
  size_t left;
  Event done;
};

std::vector<std::string> TaskService::AlsoInMaking() const {
  std::vector<std::string> found = ids();
  for (const auto& [id, ended] : creating_) found.push_back(id);
  return found;
}

Co<bool> TaskService::StopAll(Clock::duration grace) {
  const std::vector<std::string> ids = AlsoInMaking();
  if (ids.empty()) co_return true;
  const auto stopping = std::make_shared<Stopping>(context_.loop, ids.size());
  for (const std::string& id : ids) shim::Start(StopOne(this, id, grace, stopping));
  co_return co_await stopping->done.Wait(Clock::now() + grace + kKillPatience);
}

Co<void> TaskService::StopOne(TaskService* service, std::string id, Clock::duration grace,
                              std::shared_ptr<Stopping> stopping) {
  const auto container = co_await service->FindMade(id);
  const std::string init;
  bool ended = container == nullptr;
  if (!ended && grace > Clock::duration::zero()) {
    // One that has ended, or cannot be told, is left to what follows.
    (void)co_await container->Kill(init, SIGTERM, false, kNever);
    const auto waited = co_await container->Wait(init, Clock::now() + grace);
    ended = waited.ok();
  }
  if (!ended) {
    const auto killed = co_await container->Kill(init, SIGKILL, false, kNever);
    if (!killed.ok() && killed.status.code != wire::RpcCode::kNotFound) {
      service->context_.log("kill of container " + id + ": " + killed.status.message);
    }
    (void)co_await container->Wait(init, kNever);
  }
  if (--stopping->left == 0) stopping->done.Set();
}

struct TaskService::Ending {
  explicit Ending(Loop& loop) : done(loop) {}
  Event done;
  wire::RpcStatus status;
};

Co<wire::RpcStatus> TaskService::End(Time deadline) {
  if (const std::shared_ptr<Ending> earlier = ending_) {
    co_await earlier->done.Wait();
    co_return earlier->status;
  }
  if (stopping_) co_return wire::RpcStatus{};
  stopping_ = true;
  const auto ending = std::make_shared<Ending>(context_.loop);
  ending_ = ending;
  ending->status = co_await EndAll(deadline);
  // A later caller may try again what failed.
  if (!ending->status.ok()) stopping_ = false;
  ending_.reset();
  ending->done.Set();
  co_return ending->status;
}

Co<wire::RpcStatus> TaskService::EndAll(Time deadline) {
  co_await StopAll(Clock::duration::zero());
  for (const std::string& id : AlsoInMaking()) {
    messages::DeleteRequest request;
    request.id = id;
    const auto deleted = co_await Delete(std::move(request), deadline);
    if (!deleted.ok() && deleted.status.code != wire::RpcCode::kNotFound) co_return deleted.status;
  }
  co_await shut_down_();
  co_return wire::RpcStatus{};
}

}  // namespace gantry::shim
