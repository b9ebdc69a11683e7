// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/restart/monitor.h"

#include <utility>
#include <vector>

#include "core/log/log.h"
#include "core/runtime/restart/change.h"
#include "core/runtime/restart/monitor_core.h"
#include "core/runtime/restart/policy.h"

namespace gantry::runtime::restart {
namespace {

constexpr size_t kPage = 256;  // containers read at a time

}  // namespace

Monitor::Monitor(Parts parts, Options options)
    : core_(std::make_shared<MonitorCore>(std::move(parts), options)) {}

Monitor::~Monitor() { Stop(); }

void Monitor::Start() { core_->Start(); }

void Monitor::Stop() { core_->Stop(); }

void MonitorCore::Stop() {
  stopping_ = true;
  // Before calls under way are cancelled: what they then answer leads nowhere any more.
  gate_.Close();
  Loop::TimerId timer = 0;
  {
    base::MutexLock lock(mutex_);
    timer = std::exchange(timer_, 0);
  }
  if (timer != 0) parts.loop.Cancel(timer);
  stop_.request_stop();
}

void MonitorCore::Tick() {
  const bool posted = InWorker([self = shared_from_this()] {
    self->Pass();
    self->Plan();
  });
  if (posted) return;
  if (const auto pass = Enter()) Plan();
}

bool MonitorCore::InWorker(absl::AnyInvocable<void()> work) {
  const auto pass = Enter();
  if (!pass) return false;
  return parts.workers.TryPost([self = shared_from_this(), work = std::move(work)]() mutable {
    if (const auto inside = self->Enter()) work();
  });
}

void MonitorCore::Plan() {
  base::MutexLock lock(mutex_);
  if (stopping_) return;
  timer_ = parts.loop.After(options.interval, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Tick();
  });
}

void MonitorCore::Pass() {
  const auto namespaces = parts.namespaces.List(Context{.stop = stop_token()});
  if (!namespaces.ok()) {
    log::Warn("cannot list namespaces for restarts", {{"error", namespaces.status()}});
    return;
  }
  std::set<ContainerKey> watched;
  bool complete = true;
  for (const namespaces::Namespace& ns : *namespaces) {
    if (stopping_) return;
    if (const absl::Status read = LookAt(ns.name, watched); !read.ok()) {
      complete = false;
      log::Warn("cannot list containers for restarts", {{"ns", ns.name}, {"error", read}});
    }
  }
  if (complete) Forget(watched);
}

absl::Status MonitorCore::LookAt(const std::string& ns, std::set<ContainerKey>& watched) {
  const Context ctx{.ns = ns, .stop = stop_token()};
  std::string after;
  while (!stopping_) {
    ASSIGN_OR_RETURN(const auto page, parts.containers.List(ctx, after, kPage));
    for (const containers::Container& container : page) {
      if (!IsWatched(container.labels)) continue;
      watched.insert({ns, container.id});
      Change::Begin(shared_from_this(), {ns, container.id});
    }
    if (page.size() < kPage) break;
    after = page.back().id;
  }
  return absl::OkStatus();
}

void MonitorCore::Forget(const std::set<ContainerKey>& watched) {
  base::MutexLock lock(mutex_);
  std::erase_if(
      seen_, [&](const auto& seen) { return !seen.second.busy && !watched.contains(seen.first); });
}

bool MonitorCore::Begin(const ContainerKey& key) {
  base::MutexLock lock(mutex_);
  return !std::exchange(seen_[key].busy, true);
}

void MonitorCore::End(const ContainerKey& key) {
  base::MutexLock lock(mutex_);
  seen_[key].busy = false;
}

bool MonitorCore::SwapSeenCreated(const ContainerKey& key, bool created) {
  base::MutexLock lock(mutex_);
  return std::exchange(seen_[key].created, created);
}

void MonitorCore::SetReplacing(const ContainerKey& key, std::optional<absl::Time> container_made) {
  base::MutexLock lock(mutex_);
  seen_[key].replacing = container_made;
}

std::optional<absl::Time> MonitorCore::Replacing(const ContainerKey& key) {
  base::MutexLock lock(mutex_);
  return seen_[key].replacing;
}

void MonitorCore::Complain(const ContainerKey& key, std::string_view act, const absl::Status& why) {
  std::string complaint = fmt::format("{}: {}", act, why.ToString());
  {
    base::MutexLock lock(mutex_);
    Seen& seen = seen_[key];
    if (seen.complaint == complaint) return;
    seen.complaint = complaint;
  }
  log::Warn("a container is not as its restart labels want it",
            {{"ns", key.ns}, {"container", key.id}, {"act", act}, {"error", why}});
}

void MonitorCore::Content(const ContainerKey& key) {
  base::MutexLock lock(mutex_);
  seen_[key].complaint.clear();
}

}  // namespace gantry::runtime::restart
