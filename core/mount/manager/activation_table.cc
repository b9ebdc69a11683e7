// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/activation_table.h"

#include <vector>

#include "core/base/status.h"
#include "core/db/key.h"
#include "core/mount/manager/activation_record.h"

namespace gantry::mount {
namespace {

using metadata::TableId;

constexpr size_t kPage = 100;
constexpr std::string_view kSequence = "activations";

metadata::Node NodeOf(const Context& ctx, const std::string& name) {
  return {metadata::NodeType::kMount, ctx.ns, name};
}

absl::Status RequireLease(const metadata::WriteTxn& txn, const Context& ctx) {
  if (ctx.lease.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool known, txn.Has(TableId::kLeases, db::JoinKey({ctx.ns, ctx.lease})));
  return known ? absl::OkStatus() : NotFound("lease does not exist: {:?}", ctx.lease);
}

template <typename Txn>
absl::StatusOr<std::optional<ActivationRecord>> Find(const Txn& txn, const Context& ctx,
                                                     const std::string& name) {
  ASSIGN_OR_RETURN(const auto bytes, txn.Get(TableId::kActivations, db::JoinKey({ctx.ns, name})));
  if (!bytes) return std::nullopt;
  ASSIGN_OR_RETURN(ActivationRecord record, DecodeActivation(ctx.ns, name, *bytes));
  return record;
}

absl::Status Store(metadata::WriteTxn& txn, const ActivationRecord& record) {
  return txn.Put(TableId::kActivations, db::JoinKey({record.ns, record.info.name}),
                 EncodeActivation(record));
}

}  // namespace

absl::StatusOr<ActivationStore::Begun> ActivationTable::Begin(const Context& ctx,
                                                              const std::string& name,
                                                              const Labels& labels) {
  RETURN_IF_ERROR(db::CheckComponent("mount name", name));
  RETURN_IF_ERROR(db::CheckComponent("lease id", ctx.lease));
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Begun> {
    ASSIGN_OR_RETURN(const auto existing, Find(txn, ctx, name));
    if (existing && existing->complete) return AlreadyExists("mount {:?}", name);
    RETURN_IF_ERROR(RequireLease(txn, ctx));
    RETURN_IF_ERROR(txn.EnsureNamespace(ctx.ns));
    Begun begun;
    if (existing) begun.replaced = existing->id;
    ASSIGN_OR_RETURN(begun.id, txn.NextSequence(kSequence));
    ActivationRecord record{.ns = ctx.ns,
                            .id = begun.id,
                            .complete = false,
                            .lease = ctx.lease,
                            .created_at = txn.now(),
                            .updated_at = txn.now(),
                            .info = {}};
    record.info.name = name;
    record.info.labels = labels;
    txn.Touch(NodeOf(ctx, name));
    RETURN_IF_ERROR(Store(txn, record));
    return begun;
  });
}

absl::Status ActivationTable::Complete(const Context& ctx, uint64_t id,
                                       const ActivationInfo& info) {
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(auto record, Find(txn, ctx, info.name));
    if (!record || record->id != id) return NotFound("mount {:?}", info.name);
    record->complete = true;
    record->updated_at = txn.now();
    record->info = info;
    // What was a root is from now on as good as what refers to it, which may have been marked
    // already.
    txn.Touch(NodeOf(ctx, info.name));
    return Store(txn, *record);
  });
}

absl::StatusOr<ActivationRecord> ActivationTable::Remove(const Context& ctx,
                                                         const std::string& name) {
  RETURN_IF_ERROR(db::CheckComponent("mount name", name));
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<ActivationRecord> {
    ASSIGN_OR_RETURN(auto record, Find(txn, ctx, name));
    if (!record) return NotFound("mount {:?}", name);
    RETURN_IF_ERROR(txn.Delete(TableId::kActivations, db::JoinKey({ctx.ns, name})).status());
    return *std::move(record);
  });
}

absl::StatusOr<ActivationRecord> ActivationTable::Get(const Context& ctx,
                                                      const std::string& name) const {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(db::CheckComponent("mount name", name));
  ASSIGN_OR_RETURN(const metadata::ReadTxn txn, metadata_.Read());
  ASSIGN_OR_RETURN(auto record, Find(txn, ctx, name));
  if (!record) return NotFound("mount {:?}", name);
  return *std::move(record);
}

absl::Status ActivationTable::ForEach(
    const Context& ctx, std::string_view ns,
    absl::FunctionRef<absl::Status(const ActivationRecord&)> visit) const {
  const std::string prefix = ns.empty() ? std::string() : db::KeyPrefix({ns});
  std::string after;
  std::vector<ActivationRecord> page;
  do {
    RETURN_IF_ERROR(ctx.Check());
    page.clear();
    {
      ASSIGN_OR_RETURN(const metadata::ReadTxn txn, metadata_.Read());
      RETURN_IF_ERROR(txn.raw().ForEach(
          txn.table(TableId::kActivations), prefix, after,
          [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
            const auto parts = db::SplitKey(key);
            if (parts.size() != 2) return DataLoss("database key of a mount");
            ASSIGN_OR_RETURN(ActivationRecord record, DecodeActivation(parts[0], parts[1], bytes));
            page.push_back(std::move(record));
            after = key;
            return page.size() < kPage ? db::Scan::kContinue : db::Scan::kStop;
          }));
    }
    for (const ActivationRecord& record : page) RETURN_IF_ERROR(visit(record));
  } while (page.size() == kPage);
  return absl::OkStatus();
}

}  // namespace gantry::mount
