// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/config_command.h"

#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "cmd/gantryd/daemon.h"
#include "core/config/toml.h"

namespace gantry {

absl::Status PrintConfig(config::Config& config) {
  Host host;
  const plugin::Graph graph({});
  StateReport report(&graph);
  ASSIGN_OR_RETURN(const std::vector<plugin::Registration> plugins,
                   Registrations(config, host, graph, report));
  std::set<std::string> known;
  for (const plugin::Registration& plugin : plugins) {
    known.insert(plugin.uri());
    if (plugin.configure) RETURN_IF_ERROR(plugin.configure(config.Plugin(plugin.uri())));
  }
  for (const config::Warning& warning : config.Warnings(known)) {
    std::fputs(fmt::format("warning: {}: {} ({})\n", warning.position.ToString(), warning.text,
                           warning.key)
                   .c_str(),
               stderr);
  }
  std::fputs(config::RenderToml(config.Effective(known)).c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace gantry
