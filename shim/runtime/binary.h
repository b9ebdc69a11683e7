// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::shim {

// Command lines differ where one of them refuses what another takes.
enum class RuntimeFamily { kRunc, kCrun, kYouki };

// What is used where options name nothing.
inline constexpr const char* kDefaultRuntime = "runc";
inline constexpr const char* kDefaultRuntimeRoot = "/run/containerd/runc";

// The path of an OCI runtime's binary: `name` itself if it has a slash, else where
// kernel::FindProgram() finds it; empty: the default. ENOENT names it.
kernel::Result<std::string> FindBinary(const std::string& name);

// What a binary's name says of its family; kRunc when it says nothing, since that is the command
// line others imitate.
RuntimeFamily FamilyOf(std::string_view binary);

// The environment of a runtime: `environment` ("K=V") without what it would hand to the container:
// sockets of a service manager.
std::vector<std::string> RuntimeEnvironment(std::vector<std::string> environment);
// The same of our own.
std::vector<std::string> RuntimeEnvironment();

}  // namespace gantry::shim
