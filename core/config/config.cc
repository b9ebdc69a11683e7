// SPDX-License-Identifier: Apache-2.0
#include "core/config/config.h"

#include <utility>

#include "core/base/status.h"
#include "core/config/defaults.h"
#include "core/config/duration.h"
#include "core/log/log.h"

namespace gantry::config {
namespace {

using Strings = std::vector<std::string>;
using StringMap = std::map<std::string, std::string>;

constexpr std::string_view kDefaultImports = "/etc/gantry/conf.d/*.toml";

// Short names that proxy plugins may use for their type.
constexpr std::pair<std::string_view, std::string_view> kProxyTypes[] = {
    {"snapshot", "io.containerd.snapshotter.v1"},
    {"content", "io.containerd.content.v1"},
    {"diff", "io.containerd.differ.v1"},
    {"sandbox", "io.containerd.sandbox.controller.v1"},
};

std::string FullProxyType(std::string type) {
  for (const auto& [short_name, uri] : kProxyTypes) {
    if (type == short_name) return std::string(uri);
  }
  return type;
}

absl::Status CheckPluginNames(std::string_view key, const Strings& names) {
  for (const std::string& name : names) {
    if (name.find('.') == std::string::npos) {
      return InvalidArgument("{}: \"{}\" is no plugin, want <type>.<id>", key, name);
    }
  }
  return absl::OkStatus();
}

Table ToTable(const ProxyPlugin& plugin) {
  return {{"type", plugin.type},
          {"address", plugin.address},
          {"platform", plugin.platform},
          {"exports", ToValue(plugin.exports)},
          {"capabilities", ToValue(plugin.capabilities)}};
}

Table ToTable(const StreamProcessor& processor) {
  return {{"accepts", ToValue(processor.accepts)},
          {"returns", processor.returns},
          {"path", processor.path},
          {"args", ToValue(processor.args)},
          {"env", ToValue(processor.env)}};
}

template <typename Map>
Table EachToTable(const Map& map) {
  Table table;
  for (const auto& [key, value] : map) table.emplace(key, ToTable(value));
  return table;
}

}  // namespace

absl::StatusOr<Config> Config::Default() {
  ASSIGN_OR_RETURN(Config config, FromTable(DefaultTable(), {}));
  config.imports = {std::string(kDefaultImports)};
  return config;
}

absl::StatusOr<Config> Config::FromTable(Table tree, std::vector<Warning> warnings) {
  Config config;
  config.warnings_ = std::move(warnings);
  RETURN_IF_ERROR(config.TakePlugins(tree));
  Section top("", std::move(tree));
  RETURN_IF_ERROR(config.Decode(top));
  for (UnknownKey& unknown : top.UnknownKeys()) {
    config.warnings_.push_back({"unknown key", std::move(unknown.key), unknown.position});
  }
  return config;
}

absl::Status Config::TakePlugins(Table& tree) {
  Value plugins;
  if (!Take(tree, "plugins", plugins)) return absl::OkStatus();
  Table* table = plugins.table();
  if (table == nullptr) {
    return InvalidArgument("configuration plugins ({}): want table, have {}",
                           plugins.position.ToString(), plugins.kind());
  }
  for (auto& [uri, value] : *table) {
    if (value.table() == nullptr) {
      return InvalidArgument("configuration plugins.{} ({}): want table, have {}", uri,
                             value.position.ToString(), value.kind());
    }
    plugins_.emplace(uri, Placed{Section(uri, std::move(*value.table())), value.position});
  }
  return absl::OkStatus();
}

absl::Status Config::Decode(Section& top) {
  RETURN_IF_ERROR(top.Get("version", kVersion).status());
  ASSIGN_OR_RETURN(root, top.Get<std::string>("root", {}));
  ASSIGN_OR_RETURN(state, top.Get<std::string>("state", {}));
  ASSIGN_OR_RETURN(temp, top.Get<std::string>("temp", {}));
  ASSIGN_OR_RETURN(disabled_plugins, top.Get<Strings>("disabled_plugins", {}));
  ASSIGN_OR_RETURN(required_plugins, top.Get<Strings>("required_plugins", {}));
  ASSIGN_OR_RETURN(imports, top.Get<Strings>("imports", {}));
  ASSIGN_OR_RETURN(oom_score, top.Get("oom_score", 0));
  ASSIGN_OR_RETURN(Section * section, top.Child("debug"));
  ASSIGN_OR_RETURN(debug.level, section->Get<std::string>("level", {}));
  ASSIGN_OR_RETURN(debug.format, section->Get<std::string>("format", {}));
  ASSIGN_OR_RETURN(debug.log_trace_id, section->Get("log_trace_id", false));
  ASSIGN_OR_RETURN(section, top.Child("cgroup"));
  ASSIGN_OR_RETURN(cgroup_path, section->Get<std::string>("path", {}));
  RETURN_IF_ERROR(DecodeProxies(top));
  RETURN_IF_ERROR(DecodeProcessors(top));
  return DecodeTimeouts(top);
}

absl::Status Config::DecodeProxies(Section& top) {
  ASSIGN_OR_RETURN(const auto sections, top.Children("proxy_plugins"));
  for (const auto& [name, section] : sections) {
    ProxyPlugin& plugin = proxy_plugins[name];
    ASSIGN_OR_RETURN(plugin.type, section->Get<std::string>("type", {}));
    ASSIGN_OR_RETURN(plugin.address, section->Get<std::string>("address", {}));
    ASSIGN_OR_RETURN(plugin.platform, section->Get<std::string>("platform", {}));
    ASSIGN_OR_RETURN(plugin.exports, section->Get<StringMap>("exports", {}));
    ASSIGN_OR_RETURN(plugin.capabilities, section->Get<Strings>("capabilities", {}));
    plugin.type = FullProxyType(std::move(plugin.type));
  }
  return absl::OkStatus();
}

absl::Status Config::DecodeProcessors(Section& top) {
  ASSIGN_OR_RETURN(const auto sections, top.Children("stream_processors"));
  for (const auto& [name, section] : sections) {
    StreamProcessor& processor = stream_processors[name];
    ASSIGN_OR_RETURN(processor.accepts, section->Get<Strings>("accepts", {}));
    ASSIGN_OR_RETURN(processor.returns, section->Get<std::string>("returns", {}));
    ASSIGN_OR_RETURN(processor.path, section->Get<std::string>("path", {}));
    ASSIGN_OR_RETURN(processor.args, section->Get<Strings>("args", {}));
    ASSIGN_OR_RETURN(processor.env, section->Get<Strings>("env", {}));
  }
  return absl::OkStatus();
}

absl::Status Config::DecodeTimeouts(Section& top) {
  ASSIGN_OR_RETURN(Section * section, top.Child("timeouts"));
  for (const auto& [key, value] : section->written()) {
    ASSIGN_OR_RETURN(timeouts[key], section->Get(key, absl::ZeroDuration()));
  }
  return absl::OkStatus();
}

Section& Config::Plugin(std::string_view uri) {
  const auto found = plugins_.find(uri);
  if (found != plugins_.end()) return found->second.section;
  return plugins_.emplace(uri, Placed{Section(std::string(uri), {}), {}}).first->second.section;
}

absl::Duration Config::Timeout(std::string_view key) const {
  const auto found = timeouts.find(std::string(key));
  return found == timeouts.end() ? absl::Seconds(1) : found->second;
}

absl::Status Config::Validate() const {
  for (const auto& [key, folder] : {std::pair("root", &root), std::pair("state", &state)}) {
    if (folder->empty()) return InvalidArgument("{} must be set", key);
    if (!std::filesystem::path(*folder).is_absolute()) {
      return InvalidArgument("{} \"{}\" is no absolute path", key, *folder);
    }
  }
  const auto plain = [](const std::string& path) {
    return (std::filesystem::path(path) / "").lexically_normal();
  };
  if (plain(root) == plain(state)) return InvalidArgument("root and state must differ: {}", root);
  log::Level level = log::Level::kInfo;
  if (!debug.level.empty() && !log::ParseLevel(debug.level, level)) {
    return InvalidArgument("debug.level \"{}\" is unknown", debug.level);
  }
  if (!debug.format.empty() && debug.format != "text" && debug.format != "json") {
    return InvalidArgument("debug.format \"{}\" is neither text nor json", debug.format);
  }
  if (oom_score < -1000 || oom_score > 1000) {
    return InvalidArgument("oom_score {} is not between -1000 and 1000", oom_score);
  }
  RETURN_IF_ERROR(CheckPluginNames("disabled_plugins", disabled_plugins));
  return CheckPluginNames("required_plugins", required_plugins);
}

std::vector<Warning> Config::Warnings(const std::set<std::string>& plugins) const {
  std::vector<Warning> warnings = warnings_;
  for (const auto& [uri, placed] : plugins_) {
    if (!plugins.contains(uri)) {
      warnings.push_back({"no plugin reads this section", uri, placed.position});
      continue;
    }
    for (UnknownKey& unknown : placed.section.UnknownKeys()) {
      warnings.push_back({"unknown key", std::move(unknown.key), unknown.position});
    }
  }
  return warnings;
}

Table Config::Effective(const std::set<std::string>& plugins) const {
  Table sections;
  for (const auto& [uri, placed] : plugins_) {
    const Section& section = placed.section;
    Table table = plugins.contains(uri) ? section.Effective() : section.written();
    if (!table.empty()) sections.emplace(uri, std::move(table));
  }
  Table limits;
  for (const auto& [key, timeout] : timeouts) limits.emplace(key, FormatGoDuration(timeout));
  return {{"version", kVersion},
          {"root", root},
          {"state", state},
          {"temp", temp},
          {"debug", Table{{"level", debug.level},
                          {"format", debug.format},
                          {"log_trace_id", debug.log_trace_id}}},
          {"disabled_plugins", ToValue(disabled_plugins)},
          {"required_plugins", ToValue(required_plugins)},
          {"imports", ToValue(imports)},
          {"oom_score", oom_score},
          {"cgroup", Table{{"path", cgroup_path}}},
          {"proxy_plugins", EachToTable(proxy_plugins)},
          {"timeouts", std::move(limits)},
          {"stream_processors", EachToTable(stream_processors)},
          {"plugins", std::move(sections)}};
}

}  // namespace gantry::config
