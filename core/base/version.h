// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace gantry {

inline constexpr const char* kName = "gantry";
inline constexpr const char* kVersion = "0.1.0";

// What the Version service tells. Clients parse the version as semver and gate features on its
// major number, so it names the API level that is served; the part behind '+' is ours.
inline constexpr const char* kApiVersion = "v2.4.0+gantry.0.1.0";
inline constexpr const char* kRevision = "gantry-0.1.0";

}  // namespace gantry
