// SPDX-License-Identifier: Apache-2.0
#include "core/metadata/metadata.h"

#include "absl/strings/numbers.h"
#include "core/db/key.h"

namespace gantry::metadata {
namespace {

constexpr std::string_view kVersionKey = "schema-version";

absl::StatusOr<uint64_t> ParseNumber(std::string_view what, std::string_view text) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &number)) {
    return DataLoss("{} is not a number", what);
  }
  return number;
}

}  // namespace

db::Table WriteTxn::table(TableId id) const { return metadata_.table(id); }
absl::Time WriteTxn::now() const { return metadata_.clock().Now(); }
View WriteTxn::view() const { return {txn_, metadata_.tables_}; }
View ReadTxn::view() const { return {txn_, metadata_.tables_}; }
db::Table ReadTxn::table(TableId id) const { return metadata_.table(id); }

void WriteTxn::Touch(Node node) {
  if (metadata_.barrier_active_) metadata_.barrier_.push_back(std::move(node));
}

void WriteTxn::TouchLabels(const Node& owner, const Labels& labels) {
  LabelReferences references = ParseLabels(owner.ns, labels);
  const bool may_expire = owner.type == NodeType::kLease || owner.type == NodeType::kImage;
  if (may_expire && references.expires) NoteExpiry(*references.expires);
  if (!metadata_.barrier_active_) return;
  if (references.any) Touch(owner);
  for (Node& target : references.targets) Touch(std::move(target));
  for (LabelReferences::Conditional& conditional : references.conditional)
    Touch(std::move(conditional.target));
}

absl::Status WriteTxn::EnsureNamespace(std::string_view ns) {
  ASSIGN_OR_RETURN(const bool known, Has(TableId::kNamespaces, ns));
  return known ? absl::OkStatus() : Put(TableId::kNamespaces, ns, {});
}

absl::StatusOr<uint64_t> WriteTxn::NextSequence(std::string_view name, uint64_t count) {
  ASSIGN_OR_RETURN(uint64_t number, LastOfSequence(view(), name));
  number += count;
  RETURN_IF_ERROR(Put(TableId::kSequences, name, std::to_string(number)));
  return number;
}

absl::StatusOr<uint64_t> LastOfSequence(const View& view, std::string_view name) {
  ASSIGN_OR_RETURN(const auto last, view.Get(TableId::kSequences, name));
  return last ? ParseNumber("sequence", *last) : absl::StatusOr<uint64_t>(0U);
}

absl::StatusOr<std::unique_ptr<Metadata>> Metadata::Open(const Options& options,
                                                         const base::Clock& clock) {
  auto metadata = std::unique_ptr<Metadata>(new Metadata(options, clock));
  ASSIGN_OR_RETURN(metadata->db_, db::Database::Open(options.db, kTableNames, &metadata->tables_));
  RETURN_IF_ERROR(metadata->UpgradeSchema());
  return metadata;
}

absl::Status Metadata::UpgradeSchema() {
  {
    // A database of this version is opened without a write: the disk may have no room for one.
    ASSIGN_OR_RETURN(const ReadTxn txn, Read());
    ASSIGN_OR_RETURN(const auto stored, txn.Get(TableId::kMeta, kVersionKey));
    if (stored) {
      ASSIGN_OR_RETURN(const uint64_t version, ParseNumber("schema version", *stored));
      if (version > kSchemaVersion) {
        return FailedPrecondition("database has schema version {}, this program knows up to {}",
                                  version, kSchemaVersion);
      }
      return absl::OkStatus();
    }
  }
  return Write({}, [](WriteTxn& txn) {
    return txn.Put(TableId::kMeta, kVersionKey, std::to_string(kSchemaVersion));
  });
}

absl::StatusOr<ReadTxn> Metadata::Read() const {
  ASSIGN_OR_RETURN(db::ReadTxn txn, db_->Read());
  return ReadTxn(std::move(txn), *this);
}

void Metadata::OnMutation(std::function<void(const Mutation&)> observer) {
  base::MutexLock lock(observer_mutex_);
  observer_ = std::move(observer);
}

void Metadata::Finish(WriteTxn& txn) {
  txn.AfterCommit([this, mutation = std::move(txn.mutation_)] {
    base::MutexLock lock(observer_mutex_);
    if (observer_) observer_(mutation);
  });
}

absl::Status Metadata::BeginBarrier(const Context& ctx) {
  return Write(ctx, [this](WriteTxn& txn) {
    txn.MarkByCollector();
    barrier_.clear();
    barrier_active_ = true;
    return absl::OkStatus();
  });
}

std::vector<Node> Metadata::DrainBarrier(const WriteTxn&) { return std::exchange(barrier_, {}); }

absl::Status Metadata::EndBarrier(const Context& ctx) {
  return Write(ctx, [this](WriteTxn& txn) {
    txn.MarkByCollector();
    barrier_active_ = false;
    barrier_ = {};
    return absl::OkStatus();
  });
}

}  // namespace gantry::metadata
