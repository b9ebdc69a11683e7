// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/restart/task_control.h"

#include <csignal>
#include <utility>

#include "core/runtime/task_manager.h"

namespace gantry::runtime::restart {

void ManagedTasks::Get(const Context& ctx, const std::string& id, Done<ProcessState> done) {
  tasks_.Get(ctx, id, "", std::move(done));
}

void ManagedTasks::Kill(const Context& ctx, const std::string& id, Done<Nothing> done) {
  tasks_.Kill(ctx, id, {.signal = SIGKILL, .all = true}, std::move(done));
}

void ManagedTasks::Wait(const Context& ctx, const std::string& id, Done<Exit> done) {
  tasks_.Wait(ctx, id, "", std::move(done));
}

void ManagedTasks::Delete(const Context& ctx, const std::string& id, Done<Exit> done) {
  tasks_.Delete(ctx, id, std::move(done));
}

void ManagedTasks::Run(const Context& ctx, const std::string& id, CreateOptions options,
                       Done<uint32_t> done) {
  options.start = true;
  tasks_.CreateTask(ctx, id, std::move(options), std::move(done));
}

}  // namespace gantry::runtime::restart
