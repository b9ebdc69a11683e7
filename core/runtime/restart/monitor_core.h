// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>

#include "core/base/gate.h"
#include "core/base/mutex.h"
#include "core/runtime/restart/monitor.h"

namespace gantry::runtime::restart {

// A container of any namespace.
struct ContainerKey {
  std::string ns;
  std::string id;

  auto operator<=>(const ContainerKey&) const = default;
};

// What a monitor and its changes under way share. Whatever may be called back late holds it, and
// passes the gate before it touches the parts.
class MonitorCore : public std::enable_shared_from_this<MonitorCore> {
 public:
  MonitorCore(Monitor::Parts all, Monitor::Options settings)
      : parts(std::move(all)), options(settings) {}

  void Start() { Tick(); }
  void Stop();

  // Nothing once the monitor stops.
  auto Enter() { return gate_.Enter(); }
  std::stop_token stop_token() const { return stop_.get_token(); }
  // Runs `work` on a worker, inside the gate. False when there are too many waiting.
  bool InWorker(absl::AnyInvocable<void()> work);

  // False while an earlier look at the container is not done.
  bool Begin(const ContainerKey& key);
  void End(const ContainerKey& key);
  // Notes whether the task was seen created only, and tells whether it was so before.
  bool SwapSeenCreated(const ContainerKey& key, bool created);
  // Notes that the old task of the container that was made then was deleted for a new one that does
  // not run yet, or that there is none such. Without the old one its exit status, which the policy
  // may go by, is gone.
  void SetReplacing(const ContainerKey& key, std::optional<absl::Time> container_made);
  std::optional<absl::Time> Replacing(const ContainerKey& key);
  // Logs what keeps a container from its state, once until it changes.
  void Complain(const ContainerKey& key, std::string_view act, const absl::Status& why);
  void Content(const ContainerKey& key);

  Monitor::Parts parts;
  const Monitor::Options options;

 private:
  struct Seen {
    bool busy = false;
    bool created = false;
    std::optional<absl::Time> replacing;
    std::string complaint;
  };

  void Tick();
  void Plan();
  void Pass();
  absl::Status LookAt(const std::string& ns, std::set<ContainerKey>& watched);
  void Forget(const std::set<ContainerKey>& watched);

  base::Gate gate_;
  std::atomic<bool> stopping_ = false;
  std::stop_source stop_;
  base::Mutex mutex_;
  Loop::TimerId timer_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<ContainerKey, Seen> seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::runtime::restart
