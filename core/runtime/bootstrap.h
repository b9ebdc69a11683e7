// SPDX-License-Identifier: Apache-2.0
// What passes between daemon and shim when a shim is started: the parameters on its standard input
// and the answer on its standard output, in all dialects that shims speak.
#pragma once

#include <google/protobuf/any.pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace gantry::runtime {

inline constexpr int32_t kOldestShimVersion = 2;
inline constexpr int32_t kNewestShimVersion = 3;

// Where a shim listens, and what it speaks there.
struct Endpoint {
  int32_t version = kOldestShimVersion;  // of the task service
  std::string address;
  std::string protocol = "ttrpc";  // or "grpc"

  bool operator==(const Endpoint&) const = default;
};

// How a shim program wants to be told what to start.
enum class Dialect {
  kModern,  // BootstrapParams; since containerd 2.3
  kLegacy,  // the runtime options as an Any, or nothing
};

struct StartParams {
  std::string id;
  std::string ns;
  bool debug = false;
  std::string daemon_version;
  std::string grpc_address;
  std::string ttrpc_address;
  std::string daemon_binary;
  std::string socket_dir;  // empty: the shim's own choice
  std::optional<google::protobuf::Any> options;
};

std::string EncodeStart(const StartParams& params, Dialect dialect);

// What the shim takes over of mounting a root file system, as it says itself.
struct MountClaims {
  std::vector<std::string> types;
  std::vector<std::string> transforms;
};

struct StartAnswer {
  Endpoint endpoint;
  std::optional<MountClaims> mounts;  // absent when the shim does not say
};

// A serialized BootstrapResult, JSON, or an address alone, tried in this order.
//
// Errors: Unimplemented for a version that we do not speak, Internal for an answer without address.
absl::StatusOr<StartAnswer> ParseStartAnswer(std::string_view answer);

// The JSON text of bootstrap.json. ParseEndpoint() also takes an address alone.
std::string EncodeEndpoint(const Endpoint& endpoint);
absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text);

// "<protocol>+<address>" as sandbox controllers spell endpoints: "ttrpc+unix:///run/x.sock".
// InvalidArgument for another form.
absl::StatusOr<Endpoint> ParseTaskApiAddress(std::string_view text, uint32_t version);

}  // namespace gantry::runtime
