// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>

#include "shim/process/children.h"

namespace gantry::shim {

// In which order a container's exits are announced: that of the init process last, when every exec
// has been accounted for, and none before the start of its process is announced.
//
// Threads: one.
class ContainerExits {
 public:
  struct Hooks {
    std::function<void()> kill_leftovers;            // the init process is gone, others may live on
    std::function<void(const Exit&)> announce_init;  // called once
  };
  explicit ContainerExits(Hooks hooks) : hooks_(std::move(hooks)) {}
  ContainerExits(const ContainerExits&) = delete;

  // The init process has been reaped. Announced at once, unless execs run or its start is being
  // announced.
  void InitEnded(const Exit& exit);
  bool init_ended() const { return init_exit_.has_value(); }

  // While the runtime's start command runs, the exit is kept back.
  void InitStarting() { starting_ = true; }
  void InitStartDone();

  // An exec may start only while the init process lives. ExecDone() when its exit is announced, or
  // when it failed to start.
  void ExecStarting() { ++running_execs_; }
  void ExecDone();
  size_t running_execs() const { return running_execs_; }

 private:
  void Check();

  const Hooks hooks_;
  std::optional<Exit> init_exit_;
  size_t running_execs_ = 0;
  bool starting_ = false;
  bool announced_ = false;
};

}  // namespace gantry::shim
