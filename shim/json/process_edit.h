// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/kernel/result.h"

namespace gantry::shim {

// The OCI process that an exec brings, with its member `terminal` set: replaced wherever it stands,
// or else added. All other bytes stay as they are, so that members which only the runtime knows
// survive. Runtimes written in Go take a name in any case for the member's, so each such one is
// set. EINVAL: no JSON object.
kernel::Result<std::string> SetProcessTerminal(std::string_view process, bool terminal);

// The same for the member `args`.
kernel::Result<std::string> SetProcessArgs(std::string_view process,
                                           std::span<const std::string> args);

}  // namespace gantry::shim
