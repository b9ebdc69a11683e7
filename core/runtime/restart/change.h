// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "core/runtime/restart/monitor_core.h"
#include "core/runtime/restart/policy.h"

namespace gantry::runtime::restart {

// One look at one container, and what follows from it. Lives in the callbacks of the calls under
// way; the container is free for the next look when it goes.
//
// Threads: one step after the other, each on whatever thread the one before ended.
class Change : public std::enable_shared_from_this<Change> {
 public:
  // Nothing when an earlier one is under way.
  static void Begin(std::shared_ptr<MonitorCore> core, ContainerKey key);
  ~Change() { core_->End(key_); }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

 private:
  using Step = void (Change::*)();

  Change(std::shared_ptr<MonitorCore> core, ContainerKey key);
  void Look();
  void Judge(absl::StatusOr<ProcessState> state);
  void FindRootfs();
  void Count();
  void Remove(Step then);
  void DeleteTask(Step then);
  void Replace();
  void Run();
  void Settled();
  void Fail(std::string_view act, const absl::Status& why);

  const std::shared_ptr<MonitorCore> core_;
  const ContainerKey key_;
  const Context ctx_;
  bool has_task_ = false;
  bool has_ended_ = false;
  bool goes_on_ = false;  // with what an earlier look began
  containers::Container container_;
  mount::Mounts rootfs_;
  int64_t restarts_ = 0;
};

}  // namespace gantry::runtime::restart
