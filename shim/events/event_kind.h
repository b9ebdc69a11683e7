// SPDX-License-Identifier: Apache-2.0
// Under which topic each event is published, and what its loss would mean.
#pragma once

#include <string_view>

#include "shim/messages/task_events.h"

namespace gantry::shim {

// What goes first when events must be dropped.
enum class Worth {
  kLittle,  // tells of a state that later events or State tell too
  kSome,
  kAll,  // is never dropped: without it a container stays in the daemon's books for ever
};

struct EventKind {
  std::string_view topic;
  Worth worth = Worth::kSome;
};

constexpr EventKind KindOf(const messages::TaskCreate& /*event*/) {
  return {"/tasks/create", Worth::kSome};
}
constexpr EventKind KindOf(const messages::TaskStart& /*event*/) {
  return {"/tasks/start", Worth::kLittle};
}
constexpr EventKind KindOf(const messages::TaskExecAdded& /*event*/) {
  return {"/tasks/exec-added", Worth::kLittle};
}
constexpr EventKind KindOf(const messages::TaskExecStarted& /*event*/) {
  return {"/tasks/exec-started", Worth::kLittle};
}
constexpr EventKind KindOf(const messages::TaskExit& /*event*/) {
  return {"/tasks/exit", Worth::kAll};
}
constexpr EventKind KindOf(const messages::TaskDelete& /*event*/) {
  return {"/tasks/delete", Worth::kAll};
}
constexpr EventKind KindOf(const messages::TaskOOM& /*event*/) {
  return {"/tasks/oom", Worth::kAll};
}
constexpr EventKind KindOf(const messages::TaskPaused& /*event*/) {
  return {"/tasks/paused", Worth::kLittle};
}
constexpr EventKind KindOf(const messages::TaskResumed& /*event*/) {
  return {"/tasks/resumed", Worth::kLittle};
}
constexpr EventKind KindOf(const messages::TaskCheckpointed& /*event*/) {
  return {"/tasks/checkpointed", Worth::kSome};
}

}  // namespace gantry::shim
