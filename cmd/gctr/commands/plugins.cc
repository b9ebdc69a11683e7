// SPDX-License-Identifier: Apache-2.0
// gctr plugins.
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/runtime.h"
#include "core/base/status.h"
#include "core/platform/platform.h"
#include "proto/services/introspection/v1/introspection.grpc.pb.h"
#include "proto/types/introspection.pb.h"

namespace gantry::gctr {
namespace {

namespace introspection = containerd::services::introspection::v1;
using Stub = introspection::Introspection::Stub;
using Introspection = Service<introspection::Introspection>;

constexpr const char* kSkipped = "skip plugin";

struct Options {
  std::vector<std::string> arguments;
  ListFormat list;
  bool detailed = false;
  ContainerFlags flags;  // the runtime's
};

std::string Platforms(const introspection::Plugin& plugin) {
  std::set<std::string> names;
  for (const auto& platform : plugin.platforms()) {
    names.insert(FormatPlatform({.os = platform.os(),
                                 .architecture = platform.architecture(),
                                 .variant = platform.variant()}));
  }
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

std::string StatusOf(const introspection::Plugin& plugin) {
  if (!plugin.has_init_err()) return "ok";
  return plugin.init_err().message().find(kSkipped) == std::string::npos ? "error" : "skip";
}

void AddDetails(const introspection::Plugin& plugin, Table& table) {
  table.Add({"Type:", plugin.type()});
  table.Add({"ID:", plugin.id()});
  if (!plugin.requires_().empty()) table.Add({"Requires:"});
  for (const std::string& type : plugin.requires_()) table.Add({"", type});
  if (!plugin.platforms().empty()) table.Add({"Platforms:", Platforms(plugin)});
  if (!plugin.exports().empty()) table.Add({"Exports:"});
  for (const auto& [key, value] : plugin.exports()) table.Add({"", key, value});
  std::string capabilities;
  for (const std::string& name : plugin.capabilities()) {
    capabilities += (capabilities.empty() ? "" : ",") + name;
  }
  if (!capabilities.empty()) table.Add({"Capabilities:", capabilities});
  if (plugin.has_init_err()) {
    table.Add({"Error:"});
    table.Add({"", "Code:",
               absl::StatusCodeToString(static_cast<absl::StatusCode>(plugin.init_err().code()))});
    table.Add({"", "Message:", plugin.init_err().message()});
  }
}

absl::StatusOr<int> List(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  introspection::PluginsRequest request;
  request.mutable_filters()->Add(options.arguments.begin(), options.arguments.end());
  ASSIGN_OR_RETURN(const introspection::PluginsResponse response,
                   Introspection(*client).Call(&Stub::Plugins, request));
  Json json = Json::array();
  Table table({"TYPE", "ID", "PLATFORMS", "STATUS"}, 4);
  for (const introspection::Plugin& plugin : response.plugins()) {
    const std::string platforms = Platforms(plugin);
    if (options.list.quiet) PrintLine(plugin.id());
    json.push_back(MessageJson(plugin));
    table.Add({plugin.type(), plugin.id(), platforms.empty() ? "-" : platforms, StatusOf(plugin)});
    if (options.detailed && !options.list.quiet && !options.list.json()) {
      Table details({}, 4);
      AddDetails(plugin, details);
      details.Print();
    }
  }
  if (options.list.quiet) return 0;
  if (options.list.json()) {
    PrintJson(json);
  } else if (!options.detailed) {
    table.Print();
  }
  return 0;
}

absl::StatusOr<int> InspectRuntime(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  containerd::services::containers::v1::Container::Runtime runtime;
  RETURN_IF_ERROR(SetRuntime(options.flags, runtime));
  containerd::types::RuntimeRequest wanted;
  wanted.set_runtime_path(runtime.name());
  if (runtime.has_options()) *wanted.mutable_options() = runtime.options();
  introspection::PluginInfoRequest request;
  request.set_type("io.containerd.runtime.v2");
  request.set_id("task");
  request.mutable_options()->set_type_url(wanted.GetTypeName());
  request.mutable_options()->set_value(wanted.SerializeAsString());
  ASSIGN_OR_RETURN(const introspection::PluginInfoResponse response,
                   Introspection(*client).Call(&Stub::PluginInfo, request));
  containerd::types::RuntimeInfo info;
  if (!info.ParseFromString(response.extra().value())) {
    return DataLoss("runtime info: not a {}", info.GetTypeName());
  }
  Json annotations = Json::object();
  for (const auto& [key, value] : info.annotations()) annotations[key] = value;
  PrintJson({{"Name", info.name()},
             {"Version",
              {{"Version", info.version().version()}, {"Revision", info.version().revision()}}},
             {"Options", AnyJson(info.options().type_url(), info.options().value())},
             {"Features", AnyJson(info.features().type_url(), info.features().value())},
             {"Annotations", annotations}});
  return 0;
}

}  // namespace

void AddPlugins(CommandGroup root) {
  auto options = std::make_shared<Options>();
  CommandGroup group = root.AddGroup(
      {.names = {"plugins", "plugin"}, .help = "Provides information about the daemon's plugins"});
  CLI::App& list = group.Add(
      {.names = {"list", "ls"}, .help = "Lists plugins", .arguments = "[<filter>...]"},
      options->arguments, [options](Session& session) { return List(session, *options); });
  options->list.AddTo(list, "Print only the plugin ids");
  list.add_flag("-d,--detailed", options->detailed, "Print detailed information about each plugin");
  CLI::App& inspect =
      group.Add({.names = {"inspect-runtime"}, .help = "Display runtime info"}, options->arguments,
                [options](Session& session) { return InspectRuntime(session, *options); });
  inspect.add_option("--runtime", options->flags.runtime, "Runtime name or path")
      ->capture_default_str();
  inspect.add_option("--runtime-config-path", options->flags.runtime_config_path,
                     "Optional runtime config path");
  inspect.add_option("--runc-binary", options->flags.runc_binary, "runc-compatible binary");
  inspect.add_option("--runc-root", options->flags.runc_root, "runc-compatible root");
}

}  // namespace gantry::gctr
