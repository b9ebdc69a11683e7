// SPDX-License-Identifier: Apache-2.0
// How the daemon and a shim binary agree at start: parameters on the shim's standard input, the
// result on its standard output.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/messages/types.h"

namespace gantry::shim::messages {

// The levels of Go's slog, extended at both ends. Values between them may come.
enum class LogLevel : int32_t {
  kTrace = -8,
  kDebug = -4,
  kInfo = 0,
  kWarn = 4,
  kError = 8,
  kFatal = 10,
  kPanic = 12,
};

// What a shim can do beyond the task service: nothing that has a name yet.
enum class Capability : int32_t { kUnspecified = 0 };

// Anything that daemon and shim agreed on beyond this file.
struct Extension {
  std::optional<Any> value;

  static void Fields(auto& m, auto& field) { field(1, m.value); }
};

// What the daemon tells a shim that it starts.
struct BootstrapParams {
  std::string instance_id;
  std::string ns;  // namespace
  // From this level upward the shim logs.
  LogLevel log_level = LogLevel::kInfo;
  std::string containerd_version;
  std::string containerd_ttrpc_address;
  std::string containerd_grpc_address;
  std::string containerd_binary;
  std::vector<Extension> extensions;
  // Where the shim makes its socket.
  std::optional<std::string> socket_dir;

  static void Fields(auto& m, auto& field) {
    field(1, m.instance_id);
    field(2, m.ns);
    field(3, m.log_level);
    field(4, m.containerd_version);
    field(5, m.containerd_ttrpc_address);
    field(6, m.containerd_grpc_address);
    field(7, m.containerd_binary);
    field(8, m.extensions);
    field(9, m.socket_dir);
  }
};

// Where and how the started shim can be reached.
struct BootstrapResult {
  // Version of the task service.
  int32_t version = 0;
  std::string address;
  // ttrpc or grpc.
  std::string protocol;
  std::vector<Capability> capabilities;
  std::map<std::string, std::string> metadata;
  std::vector<Extension> extensions;

  static void Fields(auto& m, auto& field) {
    field(1, m.version);
    field(2, m.address);
    field(3, m.protocol);
    field(4, m.capabilities);
    field(5, m.metadata);
    field(6, m.extensions);
  }
};

// What a shim mounts itself, told by an extension of its result.
struct MountCapabilities {
  static constexpr std::string_view kTypeName = "containerd.types.MountCapabilities";

  std::vector<std::string> types;
  std::vector<std::string> transforms;

  static void Fields(auto& m, auto& field) {
    field(1, m.types);
    field(2, m.transforms);
  }
};

}  // namespace gantry::shim::messages
