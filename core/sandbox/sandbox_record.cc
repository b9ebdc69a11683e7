// SPDX-License-Identifier: Apache-2.0
#include "core/sandbox/sandbox_record.h"

#include "core/metadata/record.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::sandbox {

using Record = ::gantry::metadata::v1::SandboxRecord;

std::string EncodeSandbox(const Sandbox& sandbox) {
  Record record;
  metadata::ToProto(sandbox.labels, record.mutable_labels());
  record.mutable_runtime()->set_name(sandbox.runtime_name);
  if (sandbox.runtime_options) {
    *record.mutable_runtime()->mutable_options() = *sandbox.runtime_options;
  }
  if (sandbox.spec) *record.mutable_spec() = *sandbox.spec;
  *record.mutable_created_at() = metadata::ToProto(sandbox.created_at);
  *record.mutable_updated_at() = metadata::ToProto(sandbox.updated_at);
  for (const auto& [name, value] : sandbox.extensions) (*record.mutable_extensions())[name] = value;
  record.set_sandboxer(sandbox.sandboxer);
  return record.SerializeAsString();
}

absl::StatusOr<Sandbox> DecodeSandbox(std::string_view id, std::string_view bytes) {
  ASSIGN_OR_RETURN(Record record, metadata::Decode<Record>(bytes));
  Sandbox sandbox{.id = std::string(id),
                  .runtime_name = record.runtime().name(),
                  .labels = metadata::FromProto(record.labels()),
                  .created_at = metadata::FromProto(record.created_at()),
                  .updated_at = metadata::FromProto(record.updated_at()),
                  .sandboxer = record.sandboxer()};
  if (record.runtime().has_options()) sandbox.runtime_options = record.runtime().options();
  if (record.has_spec()) sandbox.spec = std::move(*record.mutable_spec());
  sandbox.extensions.insert(record.extensions().begin(), record.extensions().end());
  return sandbox;
}

}  // namespace gantry::sandbox
