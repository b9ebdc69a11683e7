// SPDX-License-Identifier: Apache-2.0
// Events about tasks, and the envelope in which they are published.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/messages/types.h"

namespace gantry::shim::messages {

// Where a task's standard streams go.
struct TaskIO {
  std::string stdin;
  std::string stdout;
  std::string stderr;
  bool terminal = false;

  static void Fields(auto& m, auto& field) {
    field(1, m.stdin);
    field(2, m.stdout);
    field(3, m.stderr);
    field(4, m.terminal);
  }
};

// A task was made.
struct TaskCreate {
  static constexpr std::string_view kTypeName = "containerd.events.TaskCreate";

  std::string container_id;
  std::string bundle;
  std::vector<Mount> rootfs;
  std::optional<TaskIO> io;
  std::string checkpoint;
  uint32_t pid = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.container_id);
    field(2, m.bundle);
    field(3, m.rootfs);
    field(4, m.io);
    field(5, m.checkpoint);
    field(6, m.pid);
  }
};

// A task's init process runs.
struct TaskStart {
  static constexpr std::string_view kTypeName = "containerd.events.TaskStart";

  std::string container_id;
  uint32_t pid = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.container_id);
    field(2, m.pid);
  }
};

// A task, or the exec in id, was removed.
struct TaskDelete {
  static constexpr std::string_view kTypeName = "containerd.events.TaskDelete";

  std::string container_id;
  uint32_t pid = 0;
  uint32_t exit_status = 0;
  std::optional<Timestamp> exited_at;
  std::string id;

  static void Fields(auto& m, auto& field) {
    field(1, m.container_id);
    field(2, m.pid);
    field(3, m.exit_status);
    field(4, m.exited_at);
    field(5, m.id);
  }
};

// A process has ended: the init process where id equals container_id, otherwise an exec.
struct TaskExit {
  static constexpr std::string_view kTypeName = "containerd.events.TaskExit";

  std::string container_id;
  std::string id;
  uint32_t pid = 0;
  uint32_t exit_status = 0;
  std::optional<Timestamp> exited_at;

  static void Fields(auto& m, auto& field) {
    field(1, m.container_id);
    field(2, m.id);
    field(3, m.pid);
    field(4, m.exit_status);
    field(5, m.exited_at);
  }
};

// The kernel killed a process of the container for lack of memory.
struct TaskOOM {
  static constexpr std::string_view kTypeName = "containerd.events.TaskOOM";

  std::string container_id;

  static void Fields(auto& m, auto& field) { field(1, m.container_id); }
};

// An exec was added.
struct TaskExecAdded {
  static constexpr std::string_view kTypeName = "containerd.events.TaskExecAdded";

  std::string container_id;
  std::string exec_id;

  static void Fields(auto& m, auto& field) {
    field(1, m.container_id);
    field(2, m.exec_id);
  }
};

// An exec runs.
struct TaskExecStarted {
  static constexpr std::string_view kTypeName = "containerd.events.TaskExecStarted";

  std::string container_id;
  std::string exec_id;
  uint32_t pid = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.container_id);
    field(2, m.exec_id);
    field(3, m.pid);
  }
};

// A task was frozen.
struct TaskPaused {
  static constexpr std::string_view kTypeName = "containerd.events.TaskPaused";

  std::string container_id;

  static void Fields(auto& m, auto& field) { field(1, m.container_id); }
};

// A task was thawed.
struct TaskResumed {
  static constexpr std::string_view kTypeName = "containerd.events.TaskResumed";

  std::string container_id;

  static void Fields(auto& m, auto& field) { field(1, m.container_id); }
};

// A task was dumped.
struct TaskCheckpointed {
  static constexpr std::string_view kTypeName = "containerd.events.TaskCheckpointed";

  std::string container_id;
  std::string checkpoint;

  static void Fields(auto& m, auto& field) {
    field(1, m.container_id);
    field(2, m.checkpoint);
  }
};

// An event with the time, namespace and topic under which it was published.
struct Envelope {
  std::optional<Timestamp> timestamp;
  std::string ns;  // namespace
  std::string topic;
  std::optional<Any> event;

  static void Fields(auto& m, auto& field) {
    field(1, m.timestamp);
    field(2, m.ns);
    field(3, m.topic);
    field(4, m.event);
  }
};

// The request of containerd.services.events.ttrpc.v1.Events/Forward.
struct ForwardRequest {
  std::optional<Envelope> envelope;

  static void Fields(auto& m, auto& field) { field(1, m.envelope); }
};

}  // namespace gantry::shim::messages
