// SPDX-License-Identifier: Apache-2.0
#include "core/sandbox/sandbox_message.h"

#include "core/metadata/record.h"

namespace gantry::sandbox {

Sandbox FromProto(const ::containerd::types::Sandbox& sandbox) {
  Sandbox out{.id = sandbox.sandbox_id(),
              .runtime_name = sandbox.runtime().name(),
              .labels = metadata::FromProto(sandbox.labels()),
              .sandboxer = sandbox.sandboxer()};
  if (sandbox.runtime().has_options()) out.runtime_options = sandbox.runtime().options();
  if (sandbox.has_spec()) out.spec = sandbox.spec();
  out.extensions.insert(sandbox.extensions().begin(), sandbox.extensions().end());
  return out;
}

void ToProto(const Sandbox& sandbox, ::containerd::types::Sandbox* out) {
  out->set_sandbox_id(sandbox.id);
  out->mutable_runtime()->set_name(sandbox.runtime_name);
  if (sandbox.runtime_options)
    *out->mutable_runtime()->mutable_options() = *sandbox.runtime_options;
  if (sandbox.spec) *out->mutable_spec() = *sandbox.spec;
  metadata::ToProto(sandbox.labels, out->mutable_labels());
  *out->mutable_created_at() = metadata::ToProto(sandbox.created_at);
  *out->mutable_updated_at() = metadata::ToProto(sandbox.updated_at);
  for (const auto& [name, value] : sandbox.extensions) (*out->mutable_extensions())[name] = value;
  out->set_sandboxer(sandbox.sandboxer);
}

}  // namespace gantry::sandbox
