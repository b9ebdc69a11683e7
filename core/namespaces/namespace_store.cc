// SPDX-License-Identifier: Apache-2.0
#include "core/namespaces/namespace_store.h"

#include <fmt/ranges.h>

#include <array>

#include "core/base/identifiers.h"
#include "core/db/key.h"
#include "core/metadata/record.h"
#include "proto/events/namespace.pb.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::namespaces {
namespace {

using metadata::TableId;
using Record = ::gantry::metadata::v1::NamespaceRecord;

std::string Encode(const Labels& labels) {
  Record record;
  metadata::ToProto(labels, record.mutable_labels());
  return record.SerializeAsString();
}

absl::StatusOr<Namespace> Decode(std::string_view name, std::string_view bytes) {
  ASSIGN_OR_RETURN(const Record record, metadata::Decode<Record>(bytes));
  return Namespace{std::string(name), metadata::FromProto(record.labels())};
}

struct Kind {
  TableId table;
  std::string_view plural;
};
constexpr std::array kBlockingKinds = {
    Kind{TableId::kImages, "images"},
    Kind{TableId::kBlobs, "blobs"},
    Kind{TableId::kContainers, "containers"},
    Kind{TableId::kSandboxes, "sandboxes"},
};

// The snapshotters that still hold a snapshot of the namespace.
absl::Status AppendSnapshotters(const metadata::WriteTxn& txn, std::string_view ns,
                                const db::Txn& raw, std::vector<std::string>& left) {
  std::string last;
  return raw.ForEach(txn.table(TableId::kSnapshots), db::KeyPrefix({ns}),
                     [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                       const std::string_view snapshotter = db::SplitKey(key)[1];
                       if (snapshotter != last) {
                         left.push_back(fmt::format("snapshots on {:?} snapshotter", snapshotter));
                         last = snapshotter;
                       }
                       return db::Scan::kContinue;
                     });
}

absl::Status CheckEmpty(metadata::WriteTxn& txn, std::string_view ns) {
  std::vector<std::string> left;
  for (const Kind& kind : kBlockingKinds) {
    ASSIGN_OR_RETURN(const bool any, txn.raw().Any(txn.table(kind.table), db::KeyPrefix({ns})));
    if (any) left.emplace_back(kind.plural);
  }
  RETURN_IF_ERROR(AppendSnapshotters(txn, ns, txn.raw(), left));
  if (left.empty()) return absl::OkStatus();
  return FailedPrecondition("namespace {:?} must be empty, but it still has {}", ns,
                            fmt::join(left, ", "));
}

absl::Status DeleteAll(metadata::WriteTxn& txn, TableId table, std::string_view ns) {
  std::vector<std::string> keys;
  RETURN_IF_ERROR(
      txn.raw().ForEach(txn.table(table), db::KeyPrefix({ns}),
                        [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                          keys.emplace_back(key);
                          return db::Scan::kContinue;
                        }));
  for (const std::string& key : keys) RETURN_IF_ERROR(txn.Delete(table, key).status());
  return absl::OkStatus();
}

absl::Status ApplyMask(const metadata::FieldMask& mask, const Labels& from, Labels& to) {
  if (mask.empty()) to = from;
  for (const std::string& path : mask) {
    std::string_view key;
    if (!metadata::ConsumeKeyPath(path, "labels", key)) {
      return InvalidArgument("cannot update {:?} field on namespace", path);
    }
    metadata::CopyKey(from, key, to);
  }
  DropEmptyLabels(to);
  return ValidateLabels(to);
}

}  // namespace

absl::StatusOr<Namespace> NamespaceStore::Get(const Context& ctx, std::string_view name) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ASSIGN_OR_RETURN(const auto record, txn.Get(TableId::kNamespaces, name));
  if (!record) return Namespace{std::string(name), {}};
  return Decode(name, *record);
}

absl::StatusOr<std::vector<Namespace>> NamespaceStore::List(const Context& ctx) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  std::vector<Namespace> all;
  RETURN_IF_ERROR(txn.raw().ForEach(
      txn.table(TableId::kNamespaces), {},
      [&](std::string_view name, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(Namespace ns, Decode(name, bytes));
        all.push_back(std::move(ns));
        return db::Scan::kContinue;
      }));
  return all;
}

absl::Status NamespaceStore::Create(const Context& ctx, const Namespace& ns) {
  RETURN_IF_ERROR(ValidateIdentifier(ns.name));
  RETURN_IF_ERROR(ValidateLabels(ns.labels));
  Labels labels = ns.labels;
  DropEmptyLabels(labels);
  RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const bool known, txn.Has(TableId::kNamespaces, ns.name));
    if (known) return AlreadyExists("namespace {:?}", ns.name);
    return txn.Put(TableId::kNamespaces, ns.name, Encode(labels));
  }));
  containerd::events::NamespaceCreate event;
  event.set_name(ns.name);
  metadata::ToProto(labels, event.mutable_labels());
  return events_.Publish(ctx.InNamespace(ns.name), "/namespaces/create", event);
}

absl::StatusOr<Namespace> NamespaceStore::Update(const Context& ctx, const Namespace& ns,
                                                 const metadata::FieldMask& mask) {
  RETURN_IF_ERROR(ValidateIdentifier(ns.name));
  ASSIGN_OR_RETURN(
      Namespace result,
      metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Namespace> {
        ASSIGN_OR_RETURN(const auto record, txn.Get(TableId::kNamespaces, ns.name));
        Namespace updated{ns.name, {}};
        if (record) {
          ASSIGN_OR_RETURN(updated, Decode(ns.name, *record));
        }
        RETURN_IF_ERROR(ApplyMask(mask, ns.labels, updated.labels));
        if (!record && updated.labels.empty()) return updated;
        RETURN_IF_ERROR(txn.Put(TableId::kNamespaces, ns.name, Encode(updated.labels)));
        return updated;
      }));
  containerd::events::NamespaceUpdate event;
  event.set_name(result.name);
  metadata::ToProto(result.labels, event.mutable_labels());
  RETURN_IF_ERROR(events_.Publish(ctx.InNamespace(ns.name), "/namespaces/update", event));
  return result;
}

absl::Status NamespaceStore::Delete(const Context& ctx, std::string_view name) {
  RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const bool known, txn.Has(TableId::kNamespaces, name));
    if (!known) return NotFound("namespace {:?}", name);
    RETURN_IF_ERROR(CheckEmpty(txn, name));
    for (const TableId table : {TableId::kLeases, TableId::kLeaseMembers, TableId::kIngests}) {
      RETURN_IF_ERROR(DeleteAll(txn, table, name));
    }
    txn.MarkContentDirty();
    return txn.Delete(TableId::kNamespaces, name).status();
  }));
  containerd::events::NamespaceDelete event;
  event.set_name(std::string(name));
  return events_.Publish(ctx.InNamespace(std::string(name)), "/namespaces/delete", event);
}

}  // namespace gantry::namespaces
