// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/kernel/result.h"

namespace gantry::shim {

// The group of containers that the one with this id belongs to, which share a server. The
// annotations of its OCI runtime spec (a file) say: io.containerd.runc.v2.group, else
// io.kubernetes.cri.sandbox-id; without either, or without the file, as a sandbox may be, it is
// alone. Errors: those of ScanSpecFile().
kernel::Result<std::string> GroupOf(const std::string& spec_file, const std::string& id);

}  // namespace gantry::shim
