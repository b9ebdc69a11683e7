// SPDX-License-Identifier: Apache-2.0
#include "services/containers/convert.h"

#include <optional>
#include <string>

#include "services/rpc/convert.h"

namespace gantry::containers {

namespace pb = ::containerd::services::containers::v1;

Container FromProto(const pb::Container& container) {
  Container out{.id = container.id(),
                .labels = rpc::FromProto(container.labels()),
                .image = container.image(),
                .runtime_name = container.runtime().name(),
                .snapshotter = container.snapshotter(),
                .snapshot_key = container.snapshot_key(),
                .sandbox_id = container.sandbox()};
  if (container.runtime().has_options()) out.runtime_options = container.runtime().options();
  if (container.has_spec()) out.spec = container.spec();
  out.extensions.insert(container.extensions().begin(), container.extensions().end());
  return out;
}

void ToProto(const Container& container, pb::Container* out) {
  out->set_id(container.id);
  rpc::ToProto(container.labels, out->mutable_labels());
  out->set_image(container.image);
  out->mutable_runtime()->set_name(container.runtime_name);
  if (container.runtime_options)
    *out->mutable_runtime()->mutable_options() = *container.runtime_options;
  if (container.spec) *out->mutable_spec() = *container.spec;
  out->set_snapshotter(container.snapshotter);
  out->set_snapshot_key(container.snapshot_key);
  *out->mutable_created_at() = rpc::ToProto(container.created_at);
  *out->mutable_updated_at() = rpc::ToProto(container.updated_at);
  for (const auto& [name, value] : container.extensions) (*out->mutable_extensions())[name] = value;
  out->set_sandbox(container.sandbox_id);
}

bool Matches(const filters::Filter& filter, const Container& container) {
  return filter.Matches([&](filters::FieldPath path) -> std::optional<std::string> {
    if (path[0] == "id") return filters::NonEmpty(container.id);
    if (path[0] == "image") return filters::NonEmpty(container.image);
    if (path[0] == "labels") return filters::Lookup(container.labels, path);
    if (path[0] == "runtime" && path.size() > 1 && path[1] == "name")
      return filters::NonEmpty(container.runtime_name);
    return std::nullopt;
  });
}

}  // namespace gantry::containers
