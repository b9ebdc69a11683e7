// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/base/context.h"
#include "core/runtime/caller.h"
#include "core/runtime/exit.h"
#include "core/runtime/task_types.h"

namespace gantry::runtime {
class TaskManager;
}

namespace gantry::runtime::restart {

// The calls of the TaskManager that a restart is made of, about init processes alone. An interface,
// so that tests can have them fail or hang.
//
// Threads: any; nothing waits, and `done` may be called on this thread or another.
class TaskControl {
 public:
  virtual ~TaskControl() = default;
  virtual void Get(const Context& ctx, const std::string& id, Done<ProcessState> done) = 0;
  // SIGKILL to every process of the task.
  virtual void Kill(const Context& ctx, const std::string& id, Done<Nothing> done) = 0;
  virtual void Wait(const Context& ctx, const std::string& id, Done<Exit> done) = 0;
  virtual void Delete(const Context& ctx, const std::string& id, Done<Exit> done) = 0;
  // Makes a task and starts it, or leaves none.
  virtual void Run(const Context& ctx, const std::string& id, CreateOptions options,
                   Done<uint32_t> done) = 0;
};

// The real one. The manager outlives it.
class ManagedTasks final : public TaskControl {
 public:
  explicit ManagedTasks(TaskManager& tasks) : tasks_(tasks) {}
  void Get(const Context& ctx, const std::string& id, Done<ProcessState> done) override;
  void Kill(const Context& ctx, const std::string& id, Done<Nothing> done) override;
  void Wait(const Context& ctx, const std::string& id, Done<Exit> done) override;
  void Delete(const Context& ctx, const std::string& id, Done<Exit> done) override;
  void Run(const Context& ctx, const std::string& id, CreateOptions options,
           Done<uint32_t> done) override;

 private:
  TaskManager& tasks_;
};

}  // namespace gantry::runtime::restart
