// SPDX-License-Identifier: Apache-2.0
#include "shim/sandbox/namespaces.h"

#include <cerrno>
#include <utility>

#include "shim/json/spec_scan.h"
#include "shim/messages/codec.h"
#include "shim/messages/pod_sandbox_config.h"

namespace gantry::shim {
namespace {

using messages::NamespaceMode;

void Apply(const messages::PodSandboxConfig& pod, SandboxNamespaces& namespaces) {
  messages::NamespaceOption options;
  if (pod.linux_config && pod.linux_config->security_context) {
    options = pod.linux_config->security_context->namespace_options.value_or(options);
  }
  namespaces.ipc = options.ipc != NamespaceMode::kNode;
  namespaces.pid = options.pid == NamespaceMode::kPod;
  // Pods in the node's network have the node's name.
  namespaces.uts = options.network != NamespaceMode::kNode;
  if (namespaces.uts) namespaces.hostname = pod.hostname;
}

}  // namespace

kernel::Result<SandboxNamespaces> NamespacesOf(const messages::CreateSandboxRequest& request) {
  SandboxNamespaces namespaces;
  namespaces.netns_path = request.netns_path;
  if (request.options &&
      messages::TypeName(*request.options) == messages::PodSandboxConfig::kTypeName) {
    const auto pod = messages::Decode<messages::PodSandboxConfig>(request.options->value);
    if (!pod) return kernel::Error{EBADMSG, "configuration of sandbox " + request.sandbox_id};
    Apply(*pod, namespaces);
    return namespaces;
  }
  const auto spec = ScanSpecFile(request.bundle_path + "/config.json", {});
  if (spec) {
    namespaces.pid = spec->private_pid_namespace;
  } else if (spec.error().err != ENOENT) {
    return spec.error();
  }
  return namespaces;
}

}  // namespace gantry::shim
