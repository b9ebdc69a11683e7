// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/plugin.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config/section.h"
#include "core/events/exchange.h"
#include "core/metadata/metadata.h"
#include "core/mount/manager/plugin.h"
#include "proto/types/introspection.pb.h"

namespace gantry::runtime {
namespace {

// A socket's path ends at 107 bytes, of which the shim's own name takes 65.
constexpr size_t kMaxSocketDirBytes = 41;

constexpr char kRunc[] = "io.containerd.runc.v2";
constexpr char kOwnRuntime[] = "io.containerd.gantry.v2";

struct ShimConfig {
  ShimBinaries::Renames runtimes;
  std::vector<std::string> environment;
  std::string socket_dir;
};

absl::StatusOr<ShimConfig> ReadShimConfig(config::Section& section) {
  ShimConfig config;
  ASSIGN_OR_RETURN(config.environment, section.Get("env", std::vector<std::string>()));
  ASSIGN_OR_RETURN(
      const auto runtimes,
      section.Get("runtimes", std::map<std::string, std::string>{{kRunc, kOwnRuntime}}));
  config.runtimes.insert(runtimes.begin(), runtimes.end());
  ASSIGN_OR_RETURN(config.socket_dir, section.Get("socket_dir", std::string()));
  if (config.socket_dir.empty()) return config;
  if (config.socket_dir.front() != '/') {
    return InvalidArgument("socket_dir must be an absolute path: {:?}", config.socket_dir);
  }
  if (config.socket_dir.size() > kMaxSocketDirBytes) {
    return InvalidArgument("socket_dir must be no longer than {} characters", kMaxSocketDirBytes);
  }
  return config;
}

#if defined(__aarch64__)
constexpr char kHostPlatform[] = "linux/arm64";
#else
constexpr char kHostPlatform[] = "linux/amd64";
#endif

// Which platforms the shims serve is for clients to know; it is the host's alone.
absl::Status ReadTaskConfig(config::Section& section) {
  return section.Get("platforms", std::vector<std::string>{kHostPlatform}).status();
}

// Clients ask what a shim, and the OCI runtime behind it, can do.
void AnswerRuntimeInfo(TaskManager& tasks, const Context& ctx, const plugin::Packed& options,
                       plugin::Meta::Answer answer) {
  ::containerd::types::RuntimeRequest request;
  if (!options.type_url.ends_with("containerd.types.RuntimeRequest")) {
    return answer(Unimplemented("request of type {:?}", options.type_url));
  }
  if (!request.ParseFromString(options.value)) {
    return answer(InvalidArgument("runtime request does not parse"));
  }
  std::optional<google::protobuf::Any> runtime_options;
  if (request.has_options()) runtime_options = request.options();
  using Info = ::containerd::types::RuntimeInfo;
  tasks.GetRuntimeInfo(
      ctx, request.runtime_path(), std::move(runtime_options),
      [answer = std::move(answer)](const absl::StatusOr<Info>& info) mutable {
        if (!info.ok()) return answer(info.status());
        answer(plugin::Packed{"containerd.types.RuntimeInfo", info->SerializeAsString()});
      });
}

absl::StatusOr<TaskMonitor> ReadMonitorConfig(config::Section& section) {
  ASSIGN_OR_RETURN(const bool without, section.Get("no_prometheus", false));
  return TaskMonitor{.prometheus = !without};
}

}  // namespace

plugin::Registration ShimManagerPlugin(ShimManager::Options options) {
  return plugin::Provide(
      kShimManager,
      {.id = "manager",
       .needs = {events::kExchange.uri, metadata::kMetadata.uri},
       .configure = [](config::Section& section) { return ReadShimConfig(section).status(); },
       .init = [options = std::move(options)](
                   plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<ShimManager>> {
         ASSIGN_OR_RETURN(const ShimConfig config, ReadShimConfig(init.config()));
         ShimManager::Options effective = options;
         effective.renames = config.runtimes;
         effective.launcher.environment.insert(effective.launcher.environment.end(),
                                               config.environment.begin(),
                                               config.environment.end());
         if (!config.socket_dir.empty()) effective.launcher.socket_dir = config.socket_dir;
         return ShimManager::Create(std::move(effective));
       }});
}

plugin::Registration TaskManagerPlugin() {
  return plugin::Provide(
      kTasks,
      {.id = "task",
       .needs = {kShimManager.uri, events::kExchange.uri, metadata::kMetadata.uri,
                 mount::kMountManager.uri, kShimControllerUri},
       .configure = ReadTaskConfig,
       .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<TaskManager>> {
         RETURN_IF_ERROR(ReadTaskConfig(init.config()));
         init.meta().has_platform = true;
         init.meta().exports["log-uri-schemes"] = "fifo,binary,binary-v2,file";
         ASSIGN_OR_RETURN(ShimManager * shims, init.Get(kShimManager));
         ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
         ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
         const auto managers = init.All(mount::kMountManager);
         BundleRoots roots;
         ASSIGN_OR_RETURN(roots.state, init.state());
         ASSIGN_OR_RETURN(roots.root, init.root());
         std::filesystem::path sandboxes = roots.state.parent_path() / kShimControllerUri;
         ASSIGN_OR_RETURN(std::unique_ptr<TaskManager> tasks,
                          TaskManager::Create(*shims, *metadata, *exchange, std::move(roots),
                                              managers.empty() ? nullptr : managers.begin()->second,
                                              std::move(sandboxes)));
         init.meta().info = [raw = tasks.get()](const Context& ctx, const plugin::Packed& options,
                                                plugin::Meta::Answer answer) {
           AnswerRuntimeInfo(*raw, ctx, options, std::move(answer));
         };
         return tasks;
       }});
}

plugin::Registration CgroupMonitorPlugin() {
  return plugin::Provide(
      kTaskMonitor,
      {.id = "cgroups",
       .needs = {events::kExchange.uri},
       .configure = [](config::Section& section) { return ReadMonitorConfig(section).status(); },
       .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<TaskMonitor>> {
         ASSIGN_OR_RETURN(const TaskMonitor monitor, ReadMonitorConfig(init.config()));
         init.meta().has_platform = true;
         return std::make_unique<TaskMonitor>(monitor);
       }});
}

}  // namespace gantry::runtime
