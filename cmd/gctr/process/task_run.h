// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "cmd/gctr/process/process_io.h"
#include "cmd/gctr/process/signal_source.h"
#include "core/json/json.h"
#include "proto/services/containers/v1/containers.grpc.pb.h"

namespace gantry::gctr {

// How a task is started: what "run" and "tasks start" have in common.
struct TaskFlags {
  bool null_io = false;
  std::string log_uri;
  std::string fifo_dir;
  std::string pid_file;
  bool detach = false;
  bool no_pivot = false;
  bool interactive = false;  // always so

  IoSettings Io(bool terminal) const {
    return {.terminal = terminal, .null = null_io, .log_uri = log_uri, .fifo_dir = fifo_dir};
  }
};

void AddTaskFlags(CLI::App& app, TaskFlags& flags);

// Makes the container's task and starts it. Detached, that is all; otherwise stays until it ends,
// and deletes it. The exit status for gctr. On failure no task is left.
absl::StatusOr<int> RunTask(const Client& client, SignalSource& signals,
                            const containerd::services::containers::v1::Container& container,
                            const Json& spec, const TaskFlags& flags);

// Replaces the file; nothing for an empty path.
absl::Status WritePidFile(const std::string& path, uint32_t pid);

}  // namespace gantry::gctr
