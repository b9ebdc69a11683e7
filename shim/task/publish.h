// SPDX-License-Identifier: Apache-2.0
// Events and their topics.
#pragma once

#include <string_view>

#include "shim/messages/codec.h"
#include "shim/messages/task_events.h"
#include "shim/task/task_context.h"

namespace gantry::shim {

constexpr std::string_view TopicOf(const messages::TaskCreate&) { return "/tasks/create"; }
constexpr std::string_view TopicOf(const messages::TaskStart&) { return "/tasks/start"; }
constexpr std::string_view TopicOf(const messages::TaskExecAdded&) { return "/tasks/exec-added"; }
constexpr std::string_view TopicOf(const messages::TaskExecStarted&) { return "/tasks/exec-started"; }
constexpr std::string_view TopicOf(const messages::TaskExit&) { return "/tasks/exit"; }
constexpr std::string_view TopicOf(const messages::TaskDelete&) { return "/tasks/delete"; }
constexpr std::string_view TopicOf(const messages::TaskOOM&) { return "/tasks/oom"; }
constexpr std::string_view TopicOf(const messages::TaskPaused&) { return "/tasks/paused"; }
constexpr std::string_view TopicOf(const messages::TaskResumed&) { return "/tasks/resumed"; }

template <typename Event>
void Publish(const TaskContext& context, const Event& event) {
  context.publish(TopicOf(event), messages::Pack(event));
}

}  // namespace gantry::shim
