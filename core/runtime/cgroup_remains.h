// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "core/base/status.h"
#include "core/kernel/cgroup.h"

namespace gantry::runtime {

// Where a spec wants its container's cgroups: linux.cgroupsPath of the OCI runtime-spec, config.md,
// as a path below the root of each tree. Nothing for a spec that leaves the place to the runtime or
// to systemd, which removes its scopes itself.
std::optional<std::filesystem::path> CgroupsPathOf(std::string_view spec);

// Removes the cgroups of a container whose OCI runtime was killed before it had noted that it made
// them. One with a process in it is left, as are its parents; processes that are just dying are
// waited for until `patience` is over. Blocks.
absl::Status RemoveCgroups(const std::filesystem::path& path, absl::Duration patience,
                           const std::string& root = kernel::kCgroupRoot);

}  // namespace gantry::runtime
