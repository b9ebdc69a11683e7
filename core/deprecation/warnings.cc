// SPDX-License-Identifier: Apache-2.0
#include "core/deprecation/warnings.h"

#include <array>
#include <memory>
#include <utility>

#include "core/kernel/cgroup.h"
#include "core/log/log.h"

namespace gantry::deprecation {
namespace {

// Releases are those of the API level that is served.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kMessages = {{
    {kCriRegistryMirrors,
     "`mirrors` in the CRI registry section is deprecated since v1.5 and goes in v2.7: use "
     "`config_path`"},
    {kCriRegistryAuths,
     "`auths` in the CRI registry section is deprecated since v1.3 and goes in v2.7: use image "
     "pull secrets"},
    {kCriRegistryConfigs,
     "`configs` in the CRI registry section is deprecated since v1.5 and goes in v2.7: use "
     "`config_path`"},
    {kCriCniBinDir,
     "`bin_dir` in the CRI cni section is deprecated since v2.1: use the list `bin_dirs`"},
    {kTracingProcessorConfig,
     "the section of the otlp plugin has no effect since v2.0: use the OTEL_* environment "
     "variables"},
    {kTracingServiceConfig,
     "the section of the tracing plugin has no effect since v2.0: use the OTEL_* environment "
     "variables"},
    {kNriV010Plugin,
     "plugins of NRI v0.1.0 are deprecated since v2.2: run them behind the v010-adapter plugin"},
    {kNriPluginInterface, "an NRI plugin uses a deprecated interface: rebuild it"},
    {kCgroupV1,
     "cgroup v1 is deprecated since v2.2 and its support ends in May 2029 at the latest: move the "
     "host to cgroup v2"},
    {kEnableCdi, "`enable_cdi` in the CRI section has no effect: CDI is always on"},
    {kRuncOptionsTaskApiAddress,
     "`task_api_address` in the runc options is deprecated since v2.3: set it in the create "
     "request"},
    {kRuncOptionsTaskApiVersion,
     "`task_api_version` in the runc options is deprecated since v2.3: set it in the create "
     "request"},
}};

// Empty for an id that nobody knows.
std::string_view MessageOf(std::string_view id) {
  for (const auto& [known, message] : kMessages) {
    if (known == id) return message;
  }
  return {};
}

absl::StatusOr<std::unique_ptr<Warnings>> Start(const base::Clock& clock) {
  auto warnings = std::make_unique<Warnings>(clock);
  const auto mode = kernel::DetectCgroupMode();
  if (mode.ok() && *mode != kernel::CgroupMode::kUnified) warnings->Emit(kCgroupV1);
  return warnings;
}

}  // namespace

void Warnings::Emit(std::string_view id) {
  const std::string_view message = MessageOf(id);
  if (message.empty()) return;
  bool first = false;
  {
    base::MutexLock lock(mutex_);
    first = last_.insert_or_assign(std::string(id), clock_.Now()).second;
  }
  if (first) log::Warn("deprecated feature in use", {{"id", id}, {"advice", message}});
}

std::vector<Warning> Warnings::List() const {
  base::MutexLock lock(mutex_);
  std::vector<Warning> warnings;
  warnings.reserve(last_.size());
  for (const auto& [id, time] : last_) {
    warnings.push_back({id, std::string(MessageOf(id)), time});
  }
  return warnings;
}

plugin::Registration WarningsPlugin(const base::Clock& clock) {
  return plugin::Provide(kWarnings, plugin::Spec<Warnings>{.id = "deprecations",
                                                           .init = [&clock](plugin::InitContext&) {
                                                             return Start(clock);
                                                           }});
}

}  // namespace gantry::deprecation
