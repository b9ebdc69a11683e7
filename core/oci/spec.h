// SPDX-License-Identifier: Apache-2.0
// Changes to an OCI runtime specification that is held as JSON, so that what this program does not
// know survives. DefaultSpec() makes one to begin with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/labels.h"
#include "core/json/json.h"

namespace gantry::oci {

inline constexpr size_t kMaxSpecBytes = size_t{16} << 20;

// A whole specification that somebody wrote. InvalidArgument when it is no JSON object.
absl::StatusOr<Json> ParseSpec(std::string_view text);

void SetRootPath(Json& spec, const std::string& path);
void SetRootReadonly(Json& spec);
void SetHostname(Json& spec, const std::string& name);
void AddAnnotations(Json& spec, const Labels& annotations);
void SetRootfsPropagation(Json& spec, const std::string& mode);

struct SpecMount {
  std::string type;
  std::string source;
  std::string destination;
  std::vector<std::string> options;
};

// "type=bind,src=/a,dst=/b,options=rbind:ro", each field perhaps quoted as in RFC 4180.
absl::StatusOr<SpecMount> ParseMountFlag(std::string_view text);

// Adds the mounts; others with one of these destinations go.
void AddMounts(Json& spec, const std::vector<SpecMount>& mounts);

// The host's file, read-only, in the same place of the container.
void AddHostFile(Json& spec, const std::string& path);

// "pid", "network", "mount", "ipc", "uts", "user" or "cgroup".
bool IsNamespaceType(std::string_view type);
// The container shares the host's namespace of this type.
void ShareHostNamespace(Json& spec, std::string_view type);
// The container joins the namespace that `path` names, or with none gets a new one.
void SetNamespace(Json& spec, std::string_view type, const std::string& path = "");

// Ids of a user namespace: runtime-spec config-linux.md, "User namespace mappings".
struct IdMapping {
  uint32_t container_id = 0;
  uint32_t host_id = 0;
  uint32_t size = 0;
};

// "container:host:size".
absl::StatusOr<IdMapping> ParseIdMapping(std::string_view text);
void AddUserNamespace(Json& spec, const std::vector<IdMapping>& uids,
                      const std::vector<IdMapping>& gids);

// All capabilities of this process, nothing masked or read-only, no seccomp, AppArmor or SELinux
// confinement. Devices stay as they are.
absl::Status SetPrivileged(Json& spec);

}  // namespace gantry::oci
