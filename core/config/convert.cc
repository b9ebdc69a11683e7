// SPDX-License-Identifier: Apache-2.0
#include "core/config/convert.h"

#include <array>
#include <initializer_list>
#include <utility>

#include "core/base/status.h"
#include "core/config/section.h"

namespace gantry::config {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kRenamedPlugins = {{
    {"io.containerd.internal.v1.restart", "io.containerd.monitor.container.v1.restart"},
    {"io.containerd.monitor.v1.cgroups", "io.containerd.monitor.task.v1.cgroups"},
}};

// Moves keys from `from` to `to`, each pair {old name, new name}; keys that are absent stay so.
using Renames = std::initializer_list<std::pair<std::string_view, std::string_view>>;

void MoveKeys(Table& from, Table& to, Renames renames) {
  for (const auto& [old_name, new_name] : renames) {
    Value value;
    if (Take(from, old_name, value)) to.insert_or_assign(std::string(new_name), std::move(value));
  }
}

void CopyMissing(const Table& from, Table& to, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    const auto found = from.find(key);
    if (found != from.end()) to.emplace(key, found->second);
  }
}

// Moves keys of the top-level section `section` to the plugin `uri`. A plugin section that the file
// already has wins as a whole; the old keys are then dropped.
void MoveToPlugin(Table& file, std::string_view section, std::string_view uri, Renames renames) {
  Table* old_place = FindTable(file, section);
  Table* plugins = EnsureTable(file, "plugins");
  if (old_place == nullptr || plugins == nullptr) return;
  Table moved;
  MoveKeys(*old_place, moved, renames);
  if (!moved.empty()) plugins->emplace(uri, Value(std::move(moved)));
}

void DropIfEmpty(Table& file, std::string_view key) {
  const Table* table = FindTable(file, key);
  if (table != nullptr && table->empty()) file.erase(file.find(key));
}

// sched_core was a switch of the runtime; it is an environment variable of the shim manager now.
void MoveSchedCore(Table& plugins) {
  Table* runtime = FindTable(plugins, "io.containerd.runtime.v2.task");
  if (runtime == nullptr) return;
  Value on;
  if (!Take(*runtime, "sched_core", on)) return;
  Table* manager = EnsureTable(plugins, "io.containerd.shim.v1.manager");
  if (on == Value(true) && manager != nullptr) {
    manager->emplace("env", Value(List{"SCHED_CORE=1"}, on.position));
  }
}

absl::StatusOr<int64_t> VersionOf(const Table& file, std::string_view name) {
  const auto found = file.find("version");
  if (found == file.end()) {
    return FailedPrecondition(
        "{}: the file has no version; say version = {} (versions 2 to {} are read)", name, kVersion,
        kVersion);
  }
  int64_t version = 0;
  if (!FromValue(found->second, version).ok()) {
    return InvalidArgument("{}: version: want integer, have {}", found->second.position.ToString(),
                           found->second.kind());
  }
  if (version > kVersion) {
    return FailedPrecondition("{}: version {} is newer than {}, the newest that is known", name,
                              version, kVersion);
  }
  if (version < 2) {
    return FailedPrecondition("{}: version {} is not read; versions 2 to {} are", name, version,
                              kVersion);
  }
  return version;
}

}  // namespace

void MovePlugins(Table& plugins, std::vector<Warning>& warnings) {
  for (const auto& [old_uri, new_uri] : kRenamedPlugins) {
    Value section;
    if (!Take(plugins, old_uri, section)) continue;
    if (plugins.contains(new_uri)) {
      warnings.push_back({fmt::format("section is ignored, {} is there as well", new_uri),
                          std::string(old_uri), section.position});
    } else {
      plugins.emplace(new_uri, std::move(section));
    }
  }
  MoveSchedCore(plugins);
}

void MoveServers(Table& file) {
  Table grpc;
  if (const Table* section = FindTable(file, "grpc")) grpc = *section;
  const Table* ttrpc = FindTable(file, "ttrpc");
  const bool silent = ttrpc == nullptr || !ttrpc->contains("address");

  MoveToPlugin(file, "debug", "io.containerd.server.v1.debug",
               {{"address", "address"}, {"uid", "uid"}, {"gid", "gid"}});
  MoveToPlugin(file, "grpc", "io.containerd.server.v1.grpc-tcp",
               {{"tcp_address", "address"},
                {"tcp_tls_ca", "tls_ca"},
                {"tcp_tls_cert", "tls_cert"},
                {"tcp_tls_key", "tls_key"},
                {"tcp_tls_common_name", "tls_common_name"}});
  MoveToPlugin(file, "grpc", "io.containerd.server.v1.grpc",
               {{"address", "address"},
                {"uid", "uid"},
                {"gid", "gid"},
                {"max_recv_message_size", "max_recv_message_size"},
                {"max_send_message_size", "max_send_message_size"}});
  MoveToPlugin(file, "ttrpc", "io.containerd.server.v1.ttrpc",
               {{"address", "address"}, {"uid", "uid"}, {"gid", "gid"}});
  MoveToPlugin(file, "metrics", "io.containerd.metrics.v1.grpc-prometheus",
               {{"grpc_histogram", "grpc_histogram"}});
  MoveToPlugin(file, "metrics", "io.containerd.server.v1.metrics", {{"address", "address"}});
  for (const std::string_view key : {"grpc", "ttrpc", "debug", "metrics"}) DropIfEmpty(file, key);

  Table* plugins = FindTable(file, "plugins");
  if (plugins == nullptr) return;
  if (Table* tcp = FindTable(*plugins, "io.containerd.server.v1.grpc-tcp")) {
    CopyMissing(grpc, *tcp, {"max_recv_message_size", "max_send_message_size"});
  }
  // A ttrpc section without an address follows gRPC's socket, its owner included.
  if (silent && (grpc.contains("uid") || grpc.contains("gid"))) {
    if (Table* socket = EnsureTable(*plugins, "io.containerd.server.v1.ttrpc")) {
      CopyMissing(grpc, *socket, {"uid", "gid"});
    }
  }
}

absl::Status ConvertToCurrent(Table& file, std::string_view name, std::vector<Warning>& warnings) {
  ASSIGN_OR_RETURN(const int64_t version, VersionOf(file, name));
  if (version < kVersion) {
    // A version 3 file may still use the old places: they were read there, too.
    if (Table* plugins = FindTable(file, "plugins")) {
      MovePlugins(*plugins, warnings);
      SplitCri(*plugins);
    }
    MoveServers(file);
  }
  file.insert_or_assign("version", Value(kVersion));
  return absl::OkStatus();
}

}  // namespace gantry::config
