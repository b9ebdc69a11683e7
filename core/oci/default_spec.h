// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json/json.h"

namespace gantry::oci {

// OCI runtime-spec 1.3. Runtimes refuse versions newer than their own.
inline constexpr std::string_view kRuntimeSpecVersion = "1.3.0";

// How containerd's API names the JSON documents of the runtime specification.
inline constexpr std::string_view kSpecTypeUrl =
    "types.containerd.io/opencontainers/runtime-spec/1/Spec";
inline constexpr std::string_view kProcessTypeUrl =
    "types.containerd.io/opencontainers/runtime-spec/1/Process";

// What a container gets unless somebody says otherwise, field by field what containerd's client
// builds: namespaces of its own but for users and cgroups, fourteen capabilities and none
// inheritable, no new privileges, masked and read-only paths of /proc and /sys, default mounts, the
// cgroup /<ns>/<id>, and no device. There is no process.args yet.
Json DefaultSpec(std::string_view ns, std::string_view id);

// PATH for images that set no environment.
std::string_view DefaultPath();

// Hidden from containers: /proc and /sys files that leak or harm, powercap among them
// (GHSA-7ww5-4wqc-m92c), and thermal_throttle of the CPUs that this machine may have.
std::vector<std::string> DefaultMaskedPaths();
std::vector<std::string> DefaultReadonlyPaths();

}  // namespace gantry::oci
