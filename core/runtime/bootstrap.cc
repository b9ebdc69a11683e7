// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/bootstrap.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "proto/runtime/bootstrap/v1/bootstrap.pb.h"
#include "proto/types/mount.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::runtime::bootstrap::v1;

constexpr std::string_view kMountCapabilities = "containerd.types.MountCapabilities";

std::string_view Trim(std::string_view text) {
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

// The message name of a type URL: all behind the last slash.
std::string_view TypeName(std::string_view url) {
  const size_t slash = url.rfind('/');
  return slash == std::string_view::npos ? url : url.substr(slash + 1);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

absl::StatusOr<Endpoint> Checked(Endpoint endpoint) {
  endpoint.protocol = Lower(endpoint.protocol);
  if (endpoint.version > kNewestShimVersion) {
    return Unimplemented("unsupported shim version ({})", endpoint.version);
  }
  if (endpoint.protocol != "ttrpc" && endpoint.protocol != "grpc") {
    return Unimplemented("unexpected shim protocol {:?}", endpoint.protocol);
  }
  if (endpoint.address.empty()) return Internal("shim answered without an address");
  return endpoint;
}

std::optional<MountClaims> FindMountClaims(const pb::BootstrapResult& result) {
  for (const pb::Extension& extension : result.extensions()) {
    ::containerd::types::MountCapabilities claims;
    if (TypeName(extension.value().type_url()) != kMountCapabilities) continue;
    // Unreadable claims count as none: then the daemon does the work, which is the safe side.
    if (!claims.ParseFromString(extension.value().value())) return std::nullopt;
    return MountClaims{.types = {claims.types().begin(), claims.types().end()},
                       .transforms = {claims.transforms().begin(), claims.transforms().end()}};
  }
  return std::nullopt;
}

// Text can parse as protobuf by accident, so more is asked for than that it does.
std::optional<StartAnswer> ParseBinary(std::string_view answer) {
  pb::BootstrapResult result;
  if (!result.ParseFromArray(answer.data(), static_cast<int>(answer.size()))) return std::nullopt;
  const bool known = result.protocol() == "ttrpc" || result.protocol() == "grpc";
  if (!known || result.version() < kOldestShimVersion || result.address().empty()) {
    return std::nullopt;
  }
  return StartAnswer{.endpoint = {.version = result.version(),
                                  .address = result.address(),
                                  .protocol = result.protocol()},
                     .mounts = FindMountClaims(result)};
}

std::optional<Endpoint> ParseJson(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const auto version = json.find("version");
  const auto address = json.find("address");
  const auto protocol = json.find("protocol");
  if (version == json.end() || !version->is_number_integer() ||
      version->get<int64_t>() < kOldestShimVersion) {
    return std::nullopt;
  }
  Endpoint endpoint{.version =
                        static_cast<int32_t>(std::min<int64_t>(version->get<int64_t>(), 1000))};
  if (address != json.end() && address->is_string()) endpoint.address = address->get<std::string>();
  if (protocol != json.end() && protocol->is_string())
    endpoint.protocol = protocol->get<std::string>();
  return endpoint;
}

}  // namespace

std::string EncodeStart(const StartParams& params, Dialect dialect) {
  if (dialect == Dialect::kLegacy) {
    return params.options ? params.options->SerializeAsString() : std::string();
  }
  pb::BootstrapParams message;
  message.set_instance_id(params.id);
  message.set_namespace_(params.ns);
  message.set_log_level(params.debug ? pb::LOG_LEVEL_DEBUG : pb::LOG_LEVEL_INFO);
  message.set_containerd_version(params.daemon_version);
  message.set_containerd_ttrpc_address(params.ttrpc_address);
  message.set_containerd_grpc_address(params.grpc_address);
  message.set_containerd_binary(params.daemon_binary);
  if (params.options) *message.add_extensions()->mutable_value() = *params.options;
  if (!params.socket_dir.empty()) message.set_socket_dir(params.socket_dir);
  return message.SerializeAsString();
}

absl::StatusOr<StartAnswer> ParseStartAnswer(std::string_view answer) {
  if (std::optional<StartAnswer> binary = ParseBinary(answer)) {
    RETURN_IF_ERROR(Checked(binary->endpoint).status());
    return *std::move(binary);
  }
  ASSIGN_OR_RETURN(Endpoint endpoint, ParseEndpoint(answer));
  return StartAnswer{.endpoint = std::move(endpoint), .mounts = std::nullopt};
}

std::string EncodeEndpoint(const Endpoint& endpoint) {
  return nlohmann::json{
      {"version", endpoint.version}, {"address", endpoint.address}, {"protocol", endpoint.protocol}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text) {
  text = Trim(text);
  if (std::optional<Endpoint> endpoint = ParseJson(text)) return Checked(*std::move(endpoint));
  return Checked({.address = std::string(text)});
}

absl::StatusOr<Endpoint> ParseTaskApiAddress(std::string_view text, uint32_t version) {
  const size_t plus = text.find('+');
  if (plus == std::string_view::npos) {
    return InvalidArgument(
        "task API address {:?}: not of the form <protocol>+<transport>, such as ttrpc+unix:///x",
        text);
  }
  return Checked({.version = static_cast<int32_t>(std::min<uint32_t>(version, 1000)),
                  .address = std::string(text.substr(plus + 1)),
                  .protocol = std::string(text.substr(0, plus))});
}

}  // namespace gantry::runtime
