// SPDX-License-Identifier: Apache-2.0
// The default system call filter: runtime-spec config-linux.md, "Seccomp". Built as JSON for the
// OCI runtime to compile; nothing here links libseccomp.
#pragma once

#include "core/json/json.h"

namespace gantry::oci {

// What containers may call by default, for the capabilities that `spec` grants: everything
// harmless, sockets but for AF_ALG and AF_VSOCK, no new namespaces without CAP_SYS_ADMIN, and for
// each granted capability the calls that it is for. Everything else fails with EPERM. Call it once
// capabilities are settled.
Json DefaultSeccompProfile(const Json& spec);

}  // namespace gantry::oci
