// SPDX-License-Identifier: Apache-2.0
#include "core/sandbox/sandbox_resource.h"

#include "core/gc/scan.h"
#include "core/sandbox/sandbox_record.h"

namespace gantry::sandbox {
namespace {

using metadata::Node;
using metadata::TableId;

absl::StatusOr<gc::Object> Describe(Node node, std::string_view bytes) {
  ASSIGN_OR_RETURN(Sandbox sandbox, DecodeSandbox(node.key, bytes));
  gc::Object object{.root = true, .collectible = false};
  object.labels = std::move(sandbox.labels);
  object.node = std::move(node);
  return object;
}

}  // namespace

absl::Status SandboxResource::Scan(const metadata::View& view, absl::Time,
                                   absl::FunctionRef<absl::Status(gc::Object)> visit) {
  return gc::ScanTable(view, TableId::kSandboxes, type(), Describe, visit);
}

absl::StatusOr<std::optional<gc::Object>> SandboxResource::Load(const metadata::View& view,
                                                                absl::Time, const Node& node) {
  return gc::LoadRow(view, TableId::kSandboxes, node, Describe);
}

absl::Status SandboxResource::Sweep(metadata::WriteTxn&, const Node& node) {
  return Internal("sandbox {:?} must not be collected", node.key);
}

}  // namespace gantry::sandbox
