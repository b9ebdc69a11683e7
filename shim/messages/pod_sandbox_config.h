// SPDX-License-Identifier: Apache-2.0
// What Kubernetes wants of a pod, in runtime.v1.PodSandboxConfig; of it, the parts that a sandbox
// without a container can give.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace gantry::shim::messages {

// Where the containers of a pod find a namespace.
enum class NamespaceMode : int32_t { kPod = 0, kContainer = 1, kNode = 2, kTarget = 3 };

struct NamespaceOption {
  NamespaceMode network = NamespaceMode::kPod;
  NamespaceMode pid = NamespaceMode::kPod;
  NamespaceMode ipc = NamespaceMode::kPod;

  static void Fields(auto& m, auto& field) {
    field(1, m.network);
    field(2, m.pid);
    field(3, m.ipc);
  }
};

struct LinuxSandboxSecurityContext {
  std::optional<NamespaceOption> namespace_options;

  static void Fields(auto& m, auto& field) { field(1, m.namespace_options); }
};

struct LinuxPodSandboxConfig {
  std::optional<LinuxSandboxSecurityContext> security_context;

  static void Fields(auto& m, auto& field) { field(2, m.security_context); }
};

struct PodSandboxConfig {
  static constexpr char kTypeName[] = "runtime.v1.PodSandboxConfig";
  std::string hostname;
  std::optional<LinuxPodSandboxConfig> linux_config;

  static void Fields(auto& m, auto& field) {
    field(2, m.hostname);
    field(8, m.linux_config);
  }
};

}  // namespace gantry::shim::messages
