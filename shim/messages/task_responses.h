// SPDX-License-Identifier: Apache-2.0
// What the service containerd.task.v2.Task answers; v3 has the same messages. Where a call is not
// listed, the answer is Empty.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shim/messages/types.h"

namespace gantry::shim::messages {

// Where a process is in its life.
enum class Status : int32_t {
  kUnknown = 0,
  kCreated = 1,
  kRunning = 2,
  kStopped = 3,
  kPaused = 4,
  kPausing = 5,
};

// The answers of Create and Start.
struct PidResponse {
  uint32_t pid = 0;

  static void Fields(auto& m, auto& field) { field(1, m.pid); }
};
using CreateTaskResponse = PidResponse;
using StartResponse = PidResponse;

// Also what the `delete` command prints.
struct DeleteResponse {
  uint32_t pid = 0;
  uint32_t exit_status = 0;
  std::optional<Timestamp> exited_at;

  static void Fields(auto& m, auto& field) {
    field(1, m.pid);
    field(2, m.exit_status);
    field(3, m.exited_at);
  }
};

struct StateResponse {
  std::string id;
  std::string bundle;
  uint32_t pid = 0;
  Status status = Status::kUnknown;
  std::string stdin;
  std::string stdout;
  std::string stderr;
  bool terminal = false;
  uint32_t exit_status = 0;
  std::optional<Timestamp> exited_at;
  std::string exec_id;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.bundle);
    field(3, m.pid);
    field(4, m.status);
    field(5, m.stdin);
    field(6, m.stdout);
    field(7, m.stderr);
    field(8, m.terminal);
    field(9, m.exit_status);
    field(10, m.exited_at);
    field(11, m.exec_id);
  }
};

// A process inside the container as the host numbers it.
struct ProcessInfo {
  uint32_t pid = 0;
  // Details of the runtime, such as the exec it belongs to (containerd.runc.v1.ProcessDetails).
  std::optional<Any> info;

  static void Fields(auto& m, auto& field) {
    field(1, m.pid);
    field(2, m.info);
  }
};

struct PidsResponse {
  std::vector<ProcessInfo> processes;

  static void Fields(auto& m, auto& field) { field(1, m.processes); }
};

struct WaitResponse {
  uint32_t exit_status = 0;
  std::optional<Timestamp> exited_at;

  static void Fields(auto& m, auto& field) {
    field(1, m.exit_status);
    field(2, m.exited_at);
  }
};

struct StatsResponse {
  // A cgroup v1 or v2 metrics message.
  std::optional<Any> stats;

  static void Fields(auto& m, auto& field) { field(1, m.stats); }
};

struct ConnectResponse {
  uint32_t shim_pid = 0;
  uint32_t task_pid = 0;
  std::string version;

  static void Fields(auto& m, auto& field) {
    field(1, m.shim_pid);
    field(2, m.task_pid);
    field(3, m.version);
  }
};

}  // namespace gantry::shim::messages
