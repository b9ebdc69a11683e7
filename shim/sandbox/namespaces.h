// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/kernel/result.h"
#include "shim/messages/sandbox.h"

namespace gantry::shim {

// The namespaces that a sandbox keeps for its containers.
struct SandboxNamespaces {
  bool ipc = true;
  bool uts = true;
  bool pid = false;
  std::string hostname;    // of the UTS namespace; empty: the host's
  std::string netns_path;  // to be joined; empty: none
};

// What the request asks for: in a runtime.v1.PodSandboxConfig, as Kubernetes sends it, or in the
// bundle's config.json, whose PID namespace without a path is then the sandbox's. Options of other
// types, and parts that the sandbox cannot give, say nothing.
//
// Errors: EBADMSG for a configuration that does not decode; those of ScanSpecFile() but ENOENT.
kernel::Result<SandboxNamespaces> NamespacesOf(const messages::CreateSandboxRequest& request);

}  // namespace gantry::shim
