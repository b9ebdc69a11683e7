// SPDX-License-Identifier: Apache-2.0
// The daemon's configuration: containerd's TOML schema, versions 2 to 4.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/config/convert.h"
#include "core/config/section.h"
#include "core/config/value.h"

namespace gantry::config {

inline constexpr std::string_view kDefaultFile = "/etc/gantry/config.toml";
inline constexpr std::string_view kDefaultRoot = "/var/lib/gantry";
inline constexpr std::string_view kDefaultState = "/run/gantry";
inline constexpr std::string_view kDefaultAddress = "/run/gantry/gantry.sock";

struct Debug {
  std::string level;   // "trace" to "panic"; empty: info
  std::string format;  // "text" or "json"; empty: text
  bool log_trace_id = false;
};

// A plugin served by another process over gRPC.
struct ProxyPlugin {
  std::string type;  // full URI, also when the file has the short name
  std::string address;
  std::string platform;  // empty: the host's
  std::map<std::string, std::string> exports;
  std::vector<std::string> capabilities;
};

// A program that layers of some media types are piped through.
struct StreamProcessor {
  std::vector<std::string> accepts;
  std::string returns;
  std::string path;
  std::vector<std::string> args;
  std::vector<std::string> env;
};

// The effective configuration.
//
// Ownership: owns every section; their addresses stay while it lives, moving included.
// Threads:   one at a time.
class Config {
 public:
  // What counts without any file. `imports` names the drop-in folder, for printing: without a file
  // nothing is imported.
  static absl::StatusOr<Config> Default();

  // `file` and all that it imports over the defaults. NotFound when it does not exist. Errors name
  // file, line and column.
  static absl::StatusOr<Config> Load(const std::filesystem::path& file);

  // From a version 4 tree that already holds the defaults.
  static absl::StatusOr<Config> FromTable(Table tree, std::vector<Warning> warnings);

  std::string root;
  std::string state;
  std::string temp;
  Debug debug;
  std::vector<std::string> disabled_plugins;  // "<type>.<id>"
  std::vector<std::string> required_plugins;
  std::vector<std::string> imports;
  int oom_score = 0;
  std::string cgroup_path;
  std::map<std::string, ProxyPlugin> proxy_plugins;
  std::map<std::string, absl::Duration> timeouts;
  std::map<std::string, StreamProcessor> stream_processors;

  // The section of a plugin, empty if no file has one.
  Section& Plugin(std::string_view uri);

  // The timeout with that key, or one second for a key that nobody knows.
  absl::Duration Timeout(std::string_view key) const;

  // InvalidArgument unless root and state are absolute and differ, log level and format exist, and
  // plugin lists hold URIs.
  absl::Status Validate() const;

  // What the files hold that is ignored, once every plugin has decoded its section: unknown keys,
  // sections of no plugin (`plugins` holds the URIs of all), and what conversion found.
  std::vector<Warning> Warnings(const std::set<std::string>& plugins) const;

  // Version 4, every key that counts with its value, once every plugin has decoded its section.
  Table Effective(const std::set<std::string>& plugins) const;

 private:
  Config() = default;
  absl::Status Decode(Section& top);
  absl::Status DecodeProxies(Section& top);
  absl::Status DecodeProcessors(Section& top);
  absl::Status DecodeTimeouts(Section& top);
  absl::Status TakePlugins(Table& tree);

  std::vector<Warning> warnings_;
  struct Placed {
    Section section;
    Position position;
  };
  std::map<std::string, Placed, std::less<>> plugins_;
};

}  // namespace gantry::config
