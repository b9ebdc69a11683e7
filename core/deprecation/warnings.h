// SPDX-License-Identifier: Apache-2.0
// What a client or a configuration uses that will go away. Clients list these through
// Introspection.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/plugin/plugin.h"

namespace gantry::deprecation {

// containerd's ids.
inline constexpr std::string_view kCriRegistryMirrors =
    "io.containerd.deprecation/cri-registry-mirrors";
inline constexpr std::string_view kCriRegistryAuths =
    "io.containerd.deprecation/cri-registry-auths";
inline constexpr std::string_view kCriRegistryConfigs =
    "io.containerd.deprecation/cri-registry-configs";
inline constexpr std::string_view kCriCniBinDir = "io.containerd.deprecation/cri-cni-bin-dir";
inline constexpr std::string_view kTracingProcessorConfig =
    "io.containerd.deprecation/tracing-processor-config";
inline constexpr std::string_view kTracingServiceConfig =
    "io.containerd.deprecation/tracing-service-config";
inline constexpr std::string_view kNriV010Plugin = "io.containerd.deprecation/nri-v010-plugin";
inline constexpr std::string_view kNriPluginInterface =
    "io.containerd.deprecation/nri-plugin-interface";
inline constexpr std::string_view kCgroupV1 = "io.containerd.deprecation/cgroup-v1";
inline constexpr std::string_view kEnableCdi = "io.containerd.deprecation/enable-cdi";
inline constexpr std::string_view kRuncOptionsTaskApiAddress =
    "io.containerd.deprecation/runc-options-task-api-address";
inline constexpr std::string_view kRuncOptionsTaskApiVersion =
    "io.containerd.deprecation/runc-options-task-api-version";

struct Warning {
  std::string id;
  std::string message;
  absl::Time last_occurrence;
};

// Threads: all methods from any thread. `clock` outlives it.
class Warnings {
 public:
  explicit Warnings(const base::Clock& clock) : clock_(clock) {}

  // Remembers that it happened now. An id that is not one of the above is ignored.
  void Emit(std::string_view id);

  // In the order of their ids.
  std::vector<Warning> List() const;

 private:
  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  std::map<std::string, absl::Time, std::less<>> last_ ABSL_GUARDED_BY(mutex_);
};

inline constexpr plugin::Kind<Warnings> kWarnings{"io.containerd.warning.v1"};

// The warnings as plugin deprecations; looks at the host first. `clock` outlives the plugin.
plugin::Registration WarningsPlugin(const base::Clock& clock);

}  // namespace gantry::deprecation
