// SPDX-License-Identifier: Apache-2.0
// What the service containerd.task.v2.Task is asked; v3 has the same messages.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shim/messages/types.h"

namespace gantry::shim::messages {

// The requests that name one process: the init process, or the exec in exec_id.
struct ProcessRequest {
  std::string id;
  std::string exec_id;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.exec_id);
  }
};
using StateRequest = ProcessRequest;
using StartRequest = ProcessRequest;
using DeleteRequest = ProcessRequest;
using WaitRequest = ProcessRequest;

// The requests that name a container and nothing else.
struct ContainerRequest {
  std::string id;

  static void Fields(auto& m, auto& field) { field(1, m.id); }
};
using PidsRequest = ContainerRequest;
using PauseRequest = ContainerRequest;
using ResumeRequest = ContainerRequest;
using StatsRequest = ContainerRequest;
using ConnectRequest = ContainerRequest;

struct CreateTaskRequest {
  std::string id;
  // Directory with config.json and rootfs.
  std::string bundle;
  std::vector<Mount> rootfs;
  bool terminal = false;
  std::string stdin;
  std::string stdout;
  std::string stderr;
  std::string checkpoint;
  std::string parent_checkpoint;
  std::optional<Any> options;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.bundle);
    field(3, m.rootfs);
    field(4, m.terminal);
    field(5, m.stdin);
    field(6, m.stdout);
    field(7, m.stderr);
    field(8, m.checkpoint);
    field(9, m.parent_checkpoint);
    field(10, m.options);
  }
};

struct ExecProcessRequest {
  std::string id;
  std::string exec_id;
  bool terminal = false;
  std::string stdin;
  std::string stdout;
  std::string stderr;
  std::optional<Any> spec;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.exec_id);
    field(3, m.terminal);
    field(4, m.stdin);
    field(5, m.stdout);
    field(6, m.stderr);
    field(7, m.spec);
  }
};

struct KillRequest {
  std::string id;
  std::string exec_id;
  uint32_t signal = 0;
  bool all = false;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.exec_id);
    field(3, m.signal);
    field(4, m.all);
  }
};

struct ResizePtyRequest {
  std::string id;
  std::string exec_id;
  uint32_t width = 0;
  uint32_t height = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.exec_id);
    field(3, m.width);
    field(4, m.height);
  }
};

struct CloseIORequest {
  std::string id;
  std::string exec_id;
  bool stdin = false;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.exec_id);
    field(3, m.stdin);
  }
};

struct CheckpointTaskRequest {
  std::string id;
  std::string path;
  std::optional<Any> options;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.path);
    field(3, m.options);
  }
};

struct UpdateTaskRequest {
  std::string id;
  std::optional<Any> resources;
  std::map<std::string, std::string> annotations;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.resources);
    field(3, m.annotations);
  }
};

struct ShutdownRequest {
  std::string id;
  bool now = false;

  static void Fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.now);
  }
};

}  // namespace gantry::shim::messages
