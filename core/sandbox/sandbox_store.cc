// SPDX-License-Identifier: Apache-2.0
#include "core/sandbox/sandbox_store.h"

#include <algorithm>

#include "core/base/identifiers.h"
#include "core/db/key.h"
#include "core/sandbox/sandbox_record.h"

namespace gantry::sandbox {
namespace {

using metadata::TableId;

absl::Status ReplaceAll(const Sandbox& from, Sandbox& to) {
  if (from.runtime_name != to.runtime_name) {
    return InvalidArgument("sandbox {:?}: runtime name is immutable", from.id);
  }
  to.labels = from.labels;
  to.extensions = from.extensions;
  to.spec = from.spec;
  to.runtime_options = from.runtime_options;
  return absl::OkStatus();
}

absl::Status ApplyPath(std::string_view path, const Sandbox& from, Sandbox& to) {
  std::string_view key;
  if (metadata::ApplyLabelPath(path, "labels", from.labels, to.labels)) return absl::OkStatus();
  if (metadata::ConsumeKeyPath(path, "extensions", key)) {
    metadata::CopyKey(from.extensions, key, to.extensions);
  } else if (path == "extensions") {
    to.extensions = from.extensions;
  } else if (path == "spec") {
    to.spec = from.spec;
  } else if (path == "runtime") {
    to.runtime_name = from.runtime_name;
    to.runtime_options = from.runtime_options;
  } else {
    return InvalidArgument("cannot update {:?} field on sandbox {:?}", path, from.id);
  }
  return absl::OkStatus();
}

absl::Status Apply(const metadata::FieldMask& mask, const Sandbox& from, Sandbox& to) {
  if (mask.empty()) RETURN_IF_ERROR(ReplaceAll(from, to));
  for (const std::string& path : mask) RETURN_IF_ERROR(ApplyPath(path, from, to));
  DropEmptyLabels(to.labels);
  return absl::OkStatus();
}

// Names what the collector has to look at again.
void TouchAll(metadata::WriteTxn& txn, const Context& ctx, const Sandbox& sandbox) {
  const metadata::Node node{metadata::NodeType::kSandbox, ctx.ns, sandbox.id};
  txn.Touch(node);
  txn.TouchLabels(node, sandbox.labels);
}

bool Selects(const filters::Filter& filter, const Sandbox& sandbox) {
  return filter.Matches([&](filters::FieldPath path) -> std::optional<std::string> {
    if (path[0] == "id" && path.size() == 1) return filters::NonEmpty(sandbox.id);
    if (path[0] == "labels") return filters::Lookup(sandbox.labels, path);
    return std::nullopt;
  });
}

}  // namespace

absl::StatusOr<Sandbox> SandboxStore::Get(const Context& ctx, std::string_view id) const {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(db::CheckComponent("sandbox id", id));
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ASSIGN_OR_RETURN(const auto record, txn.Get(TableId::kSandboxes, db::JoinKey({ctx.ns, id})));
  if (!record) return NotFound("sandbox {:?}", id);
  return DecodeSandbox(id, *record);
}

absl::StatusOr<std::vector<Sandbox>> SandboxStore::List(const Context& ctx,
                                                        const filters::Filter& filter) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  const std::string prefix = db::KeyPrefix({ctx.ns});
  std::vector<Sandbox> sandboxes;
  RETURN_IF_ERROR(txn.raw().ForEach(
      txn.table(TableId::kSandboxes), prefix, {},
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(Sandbox sandbox, DecodeSandbox(key.substr(prefix.size()), bytes));
        if (Selects(filter, sandbox)) sandboxes.push_back(std::move(sandbox));
        return db::Scan::kContinue;
      }));
  return sandboxes;
}

absl::StatusOr<Sandbox> SandboxStore::Create(const Context& ctx, Sandbox sandbox) {
  RETURN_IF_ERROR(Annotate(ValidateIdentifier(sandbox.id), "sandbox id"));
  DropEmptyLabels(sandbox.labels);
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Sandbox> {
    const std::string key = db::JoinKey({ctx.ns, sandbox.id});
    ASSIGN_OR_RETURN(const bool known, txn.Has(TableId::kSandboxes, key));
    if (known) return AlreadyExists("sandbox {:?}", sandbox.id);
    sandbox.created_at = sandbox.updated_at = txn.now();
    RETURN_IF_ERROR(txn.EnsureNamespace(ctx.ns));
    TouchAll(txn, ctx, sandbox);
    RETURN_IF_ERROR(txn.Put(TableId::kSandboxes, key, EncodeSandbox(sandbox)));
    return sandbox;
  });
}

absl::StatusOr<Sandbox> SandboxStore::Update(const Context& ctx, const Sandbox& sandbox,
                                             const metadata::FieldMask& mask) {
  if (sandbox.id.empty()) return InvalidArgument("sandbox id must be specified");
  RETURN_IF_ERROR(db::CheckComponent("sandbox id", sandbox.id));
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Sandbox> {
    const std::string key = db::JoinKey({ctx.ns, sandbox.id});
    ASSIGN_OR_RETURN(const auto record, txn.Get(TableId::kSandboxes, key));
    if (!record) return NotFound("sandbox {:?}", sandbox.id);
    ASSIGN_OR_RETURN(Sandbox updated, DecodeSandbox(sandbox.id, *record));
    const absl::Time before = updated.updated_at;
    const Labels old_labels = updated.labels;
    RETURN_IF_ERROR(Apply(mask, sandbox, updated));
    if (updated.labels != old_labels) TouchAll(txn, ctx, updated);
    // Clients order changes by this time, so it grows even where the clock stands still.
    updated.updated_at = std::max(txn.now(), before + absl::Nanoseconds(1));
    RETURN_IF_ERROR(txn.Put(TableId::kSandboxes, key, EncodeSandbox(updated)));
    return updated;
  });
}

absl::Status SandboxStore::Delete(const Context& ctx, std::string_view id) {
  RETURN_IF_ERROR(db::CheckComponent("sandbox id", id));
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const bool known, txn.Delete(TableId::kSandboxes, db::JoinKey({ctx.ns, id})));
    if (!known) return NotFound("sandbox {:?}", id);
    txn.MarkDirty();
    return absl::OkStatus();
  });
}

}  // namespace gantry::sandbox
