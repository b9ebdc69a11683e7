// SPDX-License-Identifier: Apache-2.0
#include "core/gc/cleaners.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "core/log/log.h"

namespace gantry::gc {

Cleaners::Cleaners(std::map<std::string, Backend*> backends) : backends_(std::move(backends)) {
  for (const auto& [name, backend] : backends_) {
    dirty_.insert(name);
    workers_[name];
  }
}

Cleaners::~Cleaners() {
  for (auto& [name, worker] : workers_) worker.thread.request_stop();
}

void Cleaners::MarkDirty(std::string_view name) {
  base::MutexLock lock(mutex_);
  if (backends_.contains(std::string(name))) dirty_.emplace(name);
}

std::set<std::string> Cleaners::TakeDirty() {
  std::set<std::string> taken;
  base::MutexLock lock(mutex_);
  for (const std::string& name : dirty_) {
    Worker& worker = workers_.at(name);
    if (worker.running) continue;  // Goes on from an earlier run.
    worker.running = true;
    worker.waited_for = absl::Now() + backends_.at(name)->patience();
    taken.insert(name);
  }
  for (const std::string& name : taken) dirty_.erase(name);
  return taken;
}

bool Cleaners::MustWait(const std::set<std::string>& names, absl::Time* until) const {
  *until = absl::InfinitePast();
  for (const std::string& name : names) {
    const Worker& worker = workers_.at(name);
    if (worker.running) *until = std::max(*until, worker.waited_for);
  }
  return *until > absl::Now();
}

bool Cleaners::Run(const Context& ctx) {
  const std::set<std::string> names = TakeDirty();
  for (const std::string& name : names) {
    Backend& backend = *backends_.at(name);
    // Joins the thread of the run before, which is over.
    workers_.at(name).thread =
        std::jthread([this, name, &backend, ctx](const std::stop_token& stop) {
          Context own = ctx;
          std::stop_source both;
          const auto relay = [&both] { both.request_stop(); };
          const std::stop_callback from_caller(ctx.stop, relay);
          const std::stop_callback from_owner(stop, relay);
          own.stop = both.get_token();
          Clean(name, backend, own);
        });
  }
  base::MutexLock lock(mutex_);
  for (absl::Time until; MustWait(names, &until);) changed_.WaitUntil(mutex_, until);
  const bool busy =
      std::ranges::any_of(workers_, [](const auto& named) { return named.second.running; });
  return !busy && dirty_.empty();
}

void Cleaners::Clean(const std::string& name, Backend& backend, const Context& ctx) {
  const absl::Status status = backend.CleanUp(ctx);
  if (!status.ok())
    log::Warn("clean-up after collection failed", {{"store", name}, {"error", status}});
  base::MutexLock lock(mutex_);
  if (!status.ok()) dirty_.insert(name);  // Tried again by the next run.
  workers_.at(name).running = false;
  changed_.NotifyAll();
}

}  // namespace gantry::gc
