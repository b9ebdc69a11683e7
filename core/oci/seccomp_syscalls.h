// SPDX-License-Identifier: Apache-2.0
// System calls by what allows them. Names that a kernel or libseccomp does not know are ignored by
// runtimes, so newer ones do no harm.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace gantry::oci {

// Allowed for everybody.
std::span<const std::string_view> CommonSyscalls();

// Address families that socket(2) may be asked for, ascending.
std::span<const uint32_t> SocketFamilies();

// Allowed with a capability; none for capabilities without calls of their own.
std::vector<std::string_view> SyscallsOfCapability(std::string_view capability);

// Those of this machine's architecture.
std::vector<std::string_view> ArchitectureSyscalls();

// Architectures whose calls a process of this machine may make, as libseccomp names them.
std::vector<std::string_view> SeccompArchitectures();

}  // namespace gantry::oci
