// SPDX-License-Identifier: Apache-2.0
#include "core/oci/spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <utility>

#include "core/base/status.h"
#include "core/oci/capabilities.h"

namespace gantry::oci {
namespace {

Json& Linux(Json& spec) { return ObjectMember(spec, "linux"); }

std::string Clean(std::string_view path) {
  std::string clean = std::filesystem::path(path).lexically_normal().string();
  if (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  return clean;
}

// The fields of one line of comma-separated values.
absl::StatusOr<std::vector<std::string>> SplitRecord(std::string_view text) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      fields.back().push_back(c);
      ++i;
    } else if (c == '"' && (quoted || fields.back().empty())) {
      quoted = !quoted;
    } else if (c == '"') {
      return InvalidArgument("mount {}: quote inside a field", text);
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back().push_back(c);
    }
  }
  if (quoted) return InvalidArgument("mount {}: quote not closed", text);
  return fields;
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> words;
  for (size_t at = text.find(separator); at != std::string_view::npos; at = text.find(separator)) {
    words.emplace_back(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  words.emplace_back(text);
  return words;
}

absl::Status SetMountField(SpecMount& mount, std::string_view key, std::string value) {
  if (key == "type") {
    mount.type = std::move(value);
  } else if (key == "source" || key == "src") {
    mount.source = std::move(value);
  } else if (key == "destination" || key == "dst") {
    mount.destination = std::move(value);
  } else if (key == "options") {
    mount.options = Split(value, ':');
  } else {
    return InvalidArgument("mount option {:?} not supported", key);
  }
  return absl::OkStatus();
}

Json ToJson(const SpecMount& mount) {
  Json value = {{"destination", mount.destination}};
  if (!mount.type.empty()) value["type"] = mount.type;
  if (!mount.source.empty()) value["source"] = mount.source;
  if (!mount.options.empty()) value["options"] = mount.options;
  return value;
}

void AppendMappings(Json& list, const std::vector<IdMapping>& mappings) {
  for (const IdMapping& mapping : mappings) {
    list.push_back({{"containerID", mapping.container_id},
                    {"hostID", mapping.host_id},
                    {"size", mapping.size}});
  }
}

void MakeWritable(Json& mount) {
  for (Json& option : ArrayMember(mount, "options")) {
    if (option == "ro") option = "rw";
  }
}

}  // namespace

absl::StatusOr<Json> ParseSpec(std::string_view text) {
  if (text.size() > kMaxSpecBytes) {
    return InvalidArgument("runtime spec: {} bytes exceed the limit of {}", text.size(),
                           kMaxSpecBytes);
  }
  ASSIGN_OR_RETURN(Json spec, ParseJson(text, "runtime spec"));
  if (!spec.is_object()) return InvalidArgument("runtime spec: not an object");
  return spec;
}

void SetRootPath(Json& spec, const std::string& path) { ObjectMember(spec, "root")["path"] = path; }

void SetRootReadonly(Json& spec) { ObjectMember(spec, "root")["readonly"] = true; }

void SetHostname(Json& spec, const std::string& name) { spec["hostname"] = name; }

void AddAnnotations(Json& spec, const Labels& annotations) {
  if (annotations.empty()) return;
  Json& target = ObjectMember(spec, "annotations");
  for (const auto& [key, value] : annotations) target[key] = value;
}

void SetRootfsPropagation(Json& spec, const std::string& mode) {
  Linux(spec)["rootfsPropagation"] = mode;
}

absl::StatusOr<SpecMount> ParseMountFlag(std::string_view text) {
  ASSIGN_OR_RETURN(const std::vector<std::string> fields, SplitRecord(text));
  SpecMount mount;
  for (const std::string& field : fields) {
    const size_t equals = field.find('=');
    if (equals == std::string::npos) {
      return InvalidArgument("invalid mount specification: expected key=val");
    }
    RETURN_IF_ERROR(SetMountField(mount, field.substr(0, equals), field.substr(equals + 1)));
  }
  if (mount.destination.empty()) return InvalidArgument("mount {}: no destination", text);
  return mount;
}

void AddMounts(Json& spec, const std::vector<SpecMount>& mounts) {
  if (mounts.empty()) return;
  Json kept = Json::array();
  for (Json& existing : ArrayMember(spec, "mounts")) {
    const std::string destination = Clean(StringMember(existing, "destination"));
    const bool replaced = std::ranges::any_of(
        mounts, [&](const SpecMount& mount) { return Clean(mount.destination) == destination; });
    if (!replaced) kept.push_back(std::move(existing));
  }
  for (const SpecMount& mount : mounts) kept.push_back(ToJson(mount));
  spec["mounts"] = std::move(kept);
}

void AddHostFile(Json& spec, const std::string& path) {
  ArrayMember(spec, "mounts")
      .push_back(ToJson(
          {.type = "bind", .source = path, .destination = path, .options = {"rbind", "ro"}}));
}

bool IsNamespaceType(std::string_view type) {
  constexpr std::array<std::string_view, 7> kTypes = {"pid", "network", "mount", "ipc",
                                                      "uts", "user",    "cgroup"};
  return std::ranges::find(kTypes, type) != kTypes.end();
}

void ShareHostNamespace(Json& spec, std::string_view type) {
  Json kept = Json::array();
  for (Json& ns : ArrayMember(Linux(spec), "namespaces")) {
    if (StringMember(ns, "type") != type) kept.push_back(std::move(ns));
  }
  Linux(spec)["namespaces"] = std::move(kept);
}

void SetNamespace(Json& spec, std::string_view type, const std::string& path) {
  Json value = {{"type", type}};
  if (!path.empty()) value["path"] = path;
  Json& namespaces = ArrayMember(Linux(spec), "namespaces");
  for (Json& ns : namespaces) {
    if (StringMember(ns, "type") == type) {
      ns = std::move(value);
      return;
    }
  }
  namespaces.push_back(std::move(value));
}

absl::StatusOr<IdMapping> ParseIdMapping(std::string_view text) {
  const std::vector<std::string> parts = Split(text, ':');
  if (parts.size() != 3) {
    return InvalidArgument("id mapping {:?}: not of the form container-id:host-id:size", text);
  }
  std::array<uint32_t, 3> numbers = {};
  for (size_t i = 0; i < numbers.size(); ++i) {
    const char* end = parts[i].data() + parts[i].size();
    const auto result = std::from_chars(parts[i].data(), end, numbers[i]);
    if (result.ec != std::errc() || result.ptr != end) {
      return InvalidArgument("id mapping {:?}: {:?} is no 32-bit number", text, parts[i]);
    }
  }
  return IdMapping{.container_id = numbers[0], .host_id = numbers[1], .size = numbers[2]};
}

void AddUserNamespace(Json& spec, const std::vector<IdMapping>& uids,
                      const std::vector<IdMapping>& gids) {
  SetNamespace(spec, "user");
  AppendMappings(ArrayMember(Linux(spec), "uidMappings"), uids);
  AppendMappings(ArrayMember(Linux(spec), "gidMappings"), gids);
}

absl::Status SetPrivileged(Json& spec) {
  ASSIGN_OR_RETURN(const std::vector<std::string> capabilities, CurrentCapabilities());
  SetCapabilities(spec, capabilities);
  for (const char* key : {"maskedPaths", "readonlyPaths", "seccomp"}) Linux(spec).erase(key);
  for (const char* key : {"selinuxLabel", "apparmorProfile"}) {
    ObjectMember(spec, "process").erase(key);
  }
  for (Json& mount : ArrayMember(spec, "mounts")) {
    const std::string type = StringMember(mount, "type");
    if (type == "sysfs" || type == "cgroup") MakeWritable(mount);
  }
  return absl::OkStatus();
}

}  // namespace gantry::oci
