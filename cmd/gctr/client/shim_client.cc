// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/client/shim_client.h"

#include <filesystem>
#include <string_view>

#include "core/base/identifiers.h"
#include "core/base/status.h"
#include "core/json/json.h"
#include "core/kernel/file.h"

namespace gantry::gctr {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnix = "unix://";
constexpr char kBundles[] = "io.containerd.runtime.v2.task";
constexpr size_t kMaxEndpointBytes = 64UL << 10;

// JSON, or from shims of old the address alone.
absl::StatusOr<ShimEndpoint> ParseEndpoint(const std::string& text, const std::string& path) {
  if (!text.starts_with('{')) return ShimEndpoint{.address = text, .version = 2};
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, path));
  const std::string protocol = StringMember(json, "protocol");
  if (!protocol.empty() && protocol != "ttrpc") {
    return Unimplemented("{}: the shim speaks {}: only ttrpc is served", path, protocol);
  }
  ShimEndpoint endpoint{.address = StringMember(json, "address"),
                        .version = static_cast<int>(IntMember(json, "version"))};
  if (endpoint.address.empty()) return DataLoss("{}: no address", path);
  return endpoint;
}

}  // namespace

absl::StatusOr<ShimEndpoint> FindShim(const std::string& daemon_address, const std::string& ns,
                                      const std::string& id) {
  RETURN_IF_ERROR(ValidateIdentifier(ns));
  RETURN_IF_ERROR(ValidateIdentifier(id));
  std::string socket = daemon_address;
  if (socket.starts_with(kUnix)) socket.erase(0, kUnix.size());
  const fs::path bundle = fs::path(socket).parent_path() / kBundles / ns / id;
  for (const char* name : {"bootstrap.json", "address"}) {
    const std::string path = bundle / name;
    const auto text = kernel::ReadFile(path, kMaxEndpointBytes);
    if (text) return ParseEndpoint(*text, path);
  }
  return NotFound("shim of {} in namespace {}: {} names no address; see --shim-address", id, ns,
                  bundle.string());
}

absl::StatusOr<ShimClient> ShimClient::Connect(const ShimEndpoint& endpoint, std::string ns,
                                               absl::Time deadline) {
  if (endpoint.version != 2 && endpoint.version != 3) {
    return InvalidArgument("api-version must be 2 or 3");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<ttrpc::Loop> loop, ttrpc::Loop::Start("shim"));
  ASSIGN_OR_RETURN(std::unique_ptr<ttrpc::Client> client,
                   ttrpc::Client::Connect(*loop, endpoint.address));
  return ShimClient(std::move(loop), std::move(client),
                    fmt::format("containerd.task.v{}.Task", endpoint.version), std::move(ns),
                    deadline);
}

absl::StatusOr<std::string> ShimClient::Invoke(const std::string& method, std::string payload,
                                               absl::Time deadline) {
  return client_->CallAndWait({.service = service_,
                               .method = method,
                               .metadata = {{ttrpc::kNamespaceKey, ns_}},
                               .deadline = deadline},
                              std::move(payload));
}

}  // namespace gantry::gctr
