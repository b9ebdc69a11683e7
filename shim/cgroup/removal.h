// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "shim/cgroup/roots.h"

namespace gantry::shim::cgroup {

// Removes the cgroups at an absolute path, as a spec names it, in every mounted tree: for a
// container whose OCI runtime was killed before it had noted that it made them. One that has
// processes or cgroups in it is left; false when there is such a one.
bool RemoveAt(const std::string& path, const Roots& roots = {});

}  // namespace gantry::shim::cgroup
