// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/kernel/result.h"
#include "shim/launch/program.h"

namespace gantry::shim {

// The runtime name that leads a daemon to a binary of this name: io.containerd.gantry.v2 for
// …/containerd-shim-gantry-v2. Empty for other names.
std::string RuntimeNameOf(std::string_view binary);

// What `-info` prints: an encoded RuntimeInfo. `input` is an encoded Any of runtime options, or
// empty. ENOENT: there is no such OCI runtime; one that does not tell its features is no error.
kernel::Result<std::string> DescribeRuntime(std::string_view binary, const std::string& input,
                                            const Program& program);

// What `-v` prints.
std::string DescribeVersion(std::string_view binary, const Program& program);

}  // namespace gantry::shim
