// SPDX-License-Identifier: Apache-2.0
// Limits of a container: runtime-spec config-linux.md, "Control groups". Kernel units.
#pragma once

#include <cstdint>
#include <string>

#include "core/json/json.h"

namespace gantry::oci {

void SetCgroupsPath(Json& spec, const std::string& path);  // empty: the runtime's choice
void SetMemoryLimit(Json& spec, int64_t bytes);
void SetCpuShares(Json& spec, uint64_t shares);
// CFS bandwidth, both in microseconds; a negative quota is unlimited.
void SetCpuBandwidth(Json& spec, int64_t quota, uint64_t period);
void SetCpus(Json& spec, const std::string& list);         // "0-2,7"
void SetMemoryNodes(Json& spec, const std::string& list);  // likewise
void SetRdtClass(Json& spec, const std::string& name);

}  // namespace gantry::oci
