// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/runtime_features.h"

#include <nlohmann/json.hpp>

#include "proto/types/introspection.pb.h"

namespace gantry::runtime {
namespace {

using Json = nlohmann::json;

bool ShiftsOwners(const Json& mount) {
  if (!mount.is_object()) return false;
  for (const char* key : {"uidMappings", "gidMappings"}) {
    const auto mappings = mount.find(key);
    if (mappings != mount.end() && !mappings->is_null()) return true;
  }
  const auto options = mount.find("options");
  if (options == mount.end() || !options->is_array()) return false;
  for (const Json& option : *options) {
    if (option == "idmap" || option == "ridmap") return true;
  }
  return false;
}

}  // namespace

bool UsesIdmappedMounts(std::string_view spec) {
  // Parsing a large spec costs; most have none of these words.
  if (spec.find("idmap\"") == std::string_view::npos &&
      spec.find("idMappings\"") == std::string_view::npos) {
    return false;
  }
  const Json json = Json::parse(spec, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("mounts") || !json["mounts"].is_array()) return false;
  for (const Json& mount : json["mounts"]) {
    if (ShiftsOwners(mount)) return true;
  }
  return false;
}

absl::Status CheckIdmapSupport(const ::containerd::types::RuntimeInfo& info) {
  if (!info.has_features() || info.features().value().empty()) return absl::OkStatus();
  const Json features = Json::parse(info.features().value(), nullptr, /*allow_exceptions=*/false);
  // Features of a form of its own: no relative of runc's.
  if (!features.is_object()) return absl::OkStatus();
  const Json enabled = features.value("/linux/mountExtensions/idmap/enabled"_json_pointer, Json());
  if (enabled == true) return absl::OkStatus();
  return FailedPrecondition(
      "idmap mounts not supported: the OCI runtime does not list mountExtensions.idmap as enabled");
}

}  // namespace gantry::runtime
