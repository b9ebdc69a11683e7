// SPDX-License-Identifier: Apache-2.0
// What the service gantry.shim.v1.Fast is asked and answers. CreateStart has messages of the task
// service.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shim/messages/types.h"

namespace gantry::shim::messages {

struct ExecSyncRequest {
  std::string id;
  std::string process;
  std::vector<std::string> args;
  int64_t timeout_nano = 0;
  uint64_t max_stdout_bytes = 0;
  uint64_t max_stderr_bytes = 0;
  int64_t drain_nano = 0;
  std::string token;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.process);
    field(3, m.args);
    field(4, m.timeout_nano);
    field(5, m.max_stdout_bytes);
    field(6, m.max_stderr_bytes);
    field(7, m.drain_nano);
    field(8, m.token);
  }
};

struct ExecSyncResponse {
  std::string stdout;
  std::string stderr;
  bool stdout_truncated = false;
  bool stderr_truncated = false;
  uint32_t exit_status = 0;
  std::optional<Timestamp> exited_at;
  bool timed_out = false;
  bool output_open = false;

  static void Fields(auto& m, auto& field) {
    field(1, m.stdout);
    field(2, m.stderr);
    field(3, m.stdout_truncated);
    field(4, m.stderr_truncated);
    field(5, m.exit_status);
    field(6, m.exited_at);
    field(7, m.timed_out);
    field(8, m.output_open);
  }
};

struct CancelExecRequest {
  std::string id;
  std::string token;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.token);
  }
};

struct ReopenLogRequest {
  std::string id;
  std::string exec_id;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.exec_id);
  }
};

struct AttachRequest {
  std::string id;
  std::string exec_id;
  bool stdout = false;
  bool stderr = false;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.exec_id);
    field(3, m.stdout);
    field(4, m.stderr);
  }
};

struct AttachResponse {
  std::string stdout;
  std::string stderr;

  static void Fields(auto& m, auto& field) {
    field(1, m.stdout);
    field(2, m.stderr);
  }
};

struct StatsBatchRequest {
  std::vector<std::string> ids;

  static void Fields(auto& m, auto& field) { field(1, m.ids); }
};

struct ContainerStats {
  std::string id;
  std::optional<Any> stats;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.stats);
  }
};

struct StatsBatchResponse {
  std::vector<ContainerStats> stats;

  static void Fields(auto& m, auto& field) { field(1, m.stats); }
};

}  // namespace gantry::shim::messages
