// SPDX-License-Identifier: Apache-2.0
// Device nodes of a container and the cgroup rules that let it use them: runtime-spec
// config-linux.md, "Devices" and "Allowed Device list".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/json/json.h"

namespace gantry::oci {

struct Device {
  std::string path;  // in the container
  char type = 'c';   // 'b', 'c' or 'p'
  int64_t major = 0;
  int64_t minor = 0;
  uint32_t mode = 0;  // permission bits
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// The node at `path`, symlinks not followed. FailedPrecondition for what is no device.
absl::StatusOr<Device> DeviceAt(const std::string& path);

// The device at `path`, or every device of the tree below the directory `path`, but for terminals,
// shared memory and what containers have of their own. With `container_path` they appear there.
absl::StatusOr<std::vector<Device>> DevicesBelow(const std::string& path,
                                                 const std::string& container_path = "");

// Rules for the nodes that every container has: null, zero, full, random, urandom, tty, console,
// ptmx and terminals.
void AllowDefaultDevices(Json& spec);

// The only rule: everything is allowed.
void AllowAllDevices(Json& spec);

// Adds nodes without rules.
void AddDeviceNodes(Json& spec, const std::vector<Device>& devices);

// Adds nodes, each with a rule of `access` ("rwm" in part).
void AddDevices(Json& spec, const std::vector<Device>& devices, std::string_view access);

}  // namespace gantry::oci
