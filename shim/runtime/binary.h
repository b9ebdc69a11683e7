// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::shim {

// Command lines differ where one of them refuses what another takes.
enum class RuntimeFamily { kRunc, kCrun, kYouki };

// The path of an OCI runtime's binary: `name` itself if it has a slash, else the first executable
// of that name in `path`, a list as in $PATH. ENOENT names it.
kernel::Result<std::string> FindBinary(const std::string& name, std::string_view path);

// What a binary's name says of its family; kRunc when it says nothing, since that is the command
// line others imitate.
RuntimeFamily FamilyOf(std::string_view binary);

// The environment of a runtime: `environment` ("K=V") without what it would hand to the container:
// sockets of a service manager.
std::vector<std::string> RuntimeEnvironment(std::vector<std::string> environment);

}  // namespace gantry::shim
