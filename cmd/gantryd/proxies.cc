// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/proxies.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "core/content/content.h"
#include "core/diff/differ.h"
#include "core/log/log.h"
#include "core/sandbox/controller.h"
#include "core/snapshots/snapshotter.h"
#include "proxies/content/plugin.h"
#include "proxies/diff/plugin.h"
#include "proxies/sandbox/plugin.h"
#include "snapshotters/proxy/plugin.h"

namespace gantry {
namespace {

struct ProxyType {
  std::string_view uri;
  plugin::Registration (*plugin)(std::string name, config::ProxyPlugin proxy);
};

constexpr std::array<ProxyType, 4> kTypes = {{
    {snapshots::kSnapshotter.uri, proxy::SnapshotterPlugin},
    {content::kBackend.uri, proxies::ContentPlugin},
    {diff::kDiffer.uri, proxies::DiffPlugin},
    {sandbox::kController.uri, proxies::SandboxPlugin},
}};

}  // namespace

std::vector<plugin::Registration> ProxyPlugins(const config::Config& config) {
  std::vector<plugin::Registration> plugins;
  for (const auto& [name, proxy] : config.proxy_plugins) {
    const auto type = std::ranges::find(kTypes, proxy.type, &ProxyType::uri);
    if (type == kTypes.end()) {
      log::Warn("unknown type of proxy plugin", {{"plugin", name}, {"type", proxy.type}});
      continue;
    }
    plugins.push_back(type->plugin(name, proxy));
  }
  return plugins;
}

}  // namespace gantry
