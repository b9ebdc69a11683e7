// SPDX-License-Identifier: Apache-2.0
// Capabilities of a container's process: capabilities(7), as runtime-spec config.md names them.
//
// Inheritable and ambient sets stay empty: a non-empty inheritable set lets programs with
// inheritable file capabilities regain what was dropped (CVE-2022-24769).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/json/json.h"

namespace gantry::oci {

std::vector<std::string> DefaultCapabilities();

// All that this program knows by name, in the kernel's order.
std::vector<std::string> KnownCapabilities();

// The effective set of this process; capabilities newer than those known by name are left out.
absl::StatusOr<std::vector<std::string>> CurrentCapabilities();

// Replaces the bounding, effective and permitted sets.
void SetCapabilities(Json& spec, const std::vector<std::string>& names);

// Adds to, or takes from, these three sets; order of what is there is kept.
void AddCapabilities(Json& spec, const std::vector<std::string>& names);
void DropCapabilities(Json& spec, const std::vector<std::string>& names);

}  // namespace gantry::oci
