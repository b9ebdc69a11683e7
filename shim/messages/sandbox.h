// SPDX-License-Identifier: Apache-2.0
// The service containerd.runtime.sandbox.v1.Sandbox. Where a call has no answer listed, it is
// Empty.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shim/messages/types.h"

namespace gantry::shim::messages {

// The requests that name the sandbox and nothing else.
struct SandboxRequest {
  std::string sandbox_id;

  static void Fields(auto& m, auto& field) { field(1, m.sandbox_id); }
};
using StartSandboxRequest = SandboxRequest;
using PlatformRequest = SandboxRequest;
using WaitSandboxRequest = SandboxRequest;
using PingRequest = SandboxRequest;
using ShutdownSandboxRequest = SandboxRequest;
using SandboxMetricsRequest = SandboxRequest;

struct CreateSandboxRequest {
  std::string sandbox_id;
  std::string bundle_path;
  std::vector<Mount> rootfs;
  std::optional<Any> options;
  std::string netns_path;
  std::map<std::string, std::string> annotations;

  static void Fields(auto& m, auto& field) {
    field(1, m.sandbox_id);
    field(2, m.bundle_path);
    field(3, m.rootfs);
    field(4, m.options);
    field(5, m.netns_path);
    field(6, m.annotations);
  }
};

struct StopSandboxRequest {
  std::string sandbox_id;
  uint32_t timeout_secs = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.sandbox_id);
    field(2, m.timeout_secs);
  }
};

struct SandboxStatusRequest {
  std::string sandbox_id;
  bool verbose = false;

  static void Fields(auto& m, auto& field) {
    field(1, m.sandbox_id);
    field(2, m.verbose);
  }
};

struct StartSandboxResponse {
  uint32_t pid = 0;
  std::optional<Timestamp> created_at;
  std::optional<Any> spec;

  static void Fields(auto& m, auto& field) {
    field(1, m.pid);
    field(2, m.created_at);
    field(3, m.spec);
  }
};

// An operating system and CPU, with the optional refinements of the OCI image index.
struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
  std::string os_version;
  std::vector<std::string> os_features;

  static void Fields(auto& m, auto& field) {
    field(1, m.os);
    field(2, m.architecture);
    field(3, m.variant);
    field(4, m.os_version);
    field(5, m.os_features);
  }
};

struct PlatformResponse {
  std::optional<Platform> platform;

  static void Fields(auto& m, auto& field) { field(1, m.platform); }
};

struct WaitSandboxResponse {
  uint32_t exit_status = 0;
  std::optional<Timestamp> exited_at;

  static void Fields(auto& m, auto& field) {
    field(1, m.exit_status);
    field(2, m.exited_at);
  }
};

struct SandboxStatusResponse {
  std::string sandbox_id;
  uint32_t pid = 0;
  std::string state;
  std::map<std::string, std::string> info;
  std::optional<Timestamp> created_at;
  std::optional<Timestamp> exited_at;
  std::optional<Any> extra;

  static void Fields(auto& m, auto& field) {
    field(1, m.sandbox_id);
    field(2, m.pid);
    field(3, m.state);
    field(4, m.info);
    field(5, m.created_at);
    field(6, m.exited_at);
    field(7, m.extra);
  }
};

// A sample. The data is a cgroup v1 or v2 metrics message, or whatever the runtime measures.
struct Metric {
  std::optional<Timestamp> timestamp;
  std::string id;
  std::optional<Any> data;

  static void Fields(auto& m, auto& field) {
    field(1, m.timestamp);
    field(2, m.id);
    field(3, m.data);
  }
};

struct SandboxMetricsResponse {
  std::optional<Metric> metrics;

  static void Fields(auto& m, auto& field) { field(1, m.metrics); }
};

}  // namespace gantry::shim::messages
