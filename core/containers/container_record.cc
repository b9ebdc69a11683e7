// SPDX-License-Identifier: Apache-2.0
#include "core/containers/container_record.h"

#include "core/metadata/record.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::containers {

using Record = ::gantry::metadata::v1::ContainerRecord;

std::string EncodeContainer(const Container& container) {
  Record record;
  metadata::ToProto(container.labels, record.mutable_labels());
  record.set_image(container.image);
  record.mutable_runtime()->set_name(container.runtime_name);
  if (container.runtime_options)
    *record.mutable_runtime()->mutable_options() = *container.runtime_options;
  if (container.spec) *record.mutable_spec() = *container.spec;
  record.set_snapshotter(container.snapshotter);
  record.set_snapshot_key(container.snapshot_key);
  *record.mutable_created_at() = metadata::ToProto(container.created_at);
  *record.mutable_updated_at() = metadata::ToProto(container.updated_at);
  for (const auto& [name, value] : container.extensions)
    (*record.mutable_extensions())[name] = value;
  record.set_sandbox_id(container.sandbox_id);
  return record.SerializeAsString();
}

absl::StatusOr<Container> DecodeContainer(std::string_view id, std::string_view bytes) {
  ASSIGN_OR_RETURN(Record record, metadata::Decode<Record>(bytes));
  Container container{.id = std::string(id),
                      .labels = metadata::FromProto(record.labels()),
                      .image = record.image(),
                      .runtime_name = record.runtime().name(),
                      .snapshotter = record.snapshotter(),
                      .snapshot_key = record.snapshot_key(),
                      .created_at = metadata::FromProto(record.created_at()),
                      .updated_at = metadata::FromProto(record.updated_at()),
                      .sandbox_id = record.sandbox_id()};
  if (record.runtime().has_options()) container.runtime_options = record.runtime().options();
  if (record.has_spec()) container.spec = std::move(*record.mutable_spec());
  container.extensions.insert(record.extensions().begin(), record.extensions().end());
  return container;
}

}  // namespace gantry::containers
