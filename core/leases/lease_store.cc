// SPDX-License-Identifier: Apache-2.0
#include "core/leases/lease_store.h"

#include <sys/random.h>

#include <array>

#include "absl/strings/escaping.h"
#include "core/db/key.h"
#include "core/digest/digest.h"
#include "core/metadata/lease_link.h"
#include "core/metadata/record.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::leases {
namespace {

using metadata::TableId;
using Record = ::gantry::metadata::v1::LeaseRecord;

absl::StatusOr<Lease> Decode(std::string_view id, std::string_view bytes) {
  ASSIGN_OR_RETURN(const Record record, metadata::Decode<Record>(bytes));
  return Lease{std::string(id), metadata::FromProto(record.labels()),
               metadata::FromProto(record.created_at())};
}

std::string Encode(const Lease& lease) {
  Record record;
  metadata::ToProto(lease.labels, record.mutable_labels());
  *record.mutable_created_at() = metadata::ToProto(lease.created_at);
  return record.SerializeAsString();
}

// "<nanoseconds within the second>-<three random bytes>", as clients that show lease ids expect.
absl::StatusOr<std::string> MakeId(absl::Time now) {
  std::array<char, 3> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    return FromErrno(errno, "make lease id");
  }
  return fmt::format("{}-{}", metadata::ToProto(now).nanos(),
                     absl::WebSafeBase64Escape(absl::string_view(random.data(), random.size())));
}

absl::Status ValidateResource(const Resource& resource) {
  const std::string_view type = resource.type;
  const std::string_view kind = type.substr(0, type.find('/'));
  const bool plain = kind == metadata::kContentResource || kind == metadata::kImageResource ||
                     kind == metadata::kIngestResource;
  if (!plain && kind != "snapshots") return Unimplemented("lease resource type {}", type);
  if (plain && kind != type) return InvalidArgument("lease resource type {}", type);
  if (!plain) {
    const std::string_view name =
        type.size() > kind.size() ? type.substr(kind.size() + 1) : std::string_view();
    if (name.empty() || name.find('/') != std::string_view::npos)
      return InvalidArgument("lease resource type {}", type);
  }
  if (type == metadata::kContentResource) {
    RETURN_IF_ERROR(Annotate(Digest::Parse(resource.id).status(), "lease resource"));
  }
  RETURN_IF_ERROR(db::CheckComponent("lease resource type", type));
  return db::CheckComponent("lease resource id", resource.id);
}

absl::Status RequireLease(const metadata::WriteTxn& txn, const Context& ctx, std::string_view id) {
  ASSIGN_OR_RETURN(const bool known, txn.Has(TableId::kLeases, db::JoinKey({ctx.ns, id})));
  return known ? absl::OkStatus() : NotFound("lease {:?}", id);
}

}  // namespace

absl::StatusOr<Lease> LeaseStore::Create(const Context& ctx, Lease lease) {
  RETURN_IF_ERROR(db::CheckComponent("lease id", lease.id));
  RETURN_IF_ERROR(ValidateLabels(lease.labels));
  DropEmptyLabels(lease.labels);
  if (lease.id.empty()) {
    ASSIGN_OR_RETURN(lease.id, MakeId(metadata_.clock().Now()));
  }
  const std::string key = db::JoinKey({ctx.ns, lease.id});
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Lease> {
    ASSIGN_OR_RETURN(const bool known, txn.Has(TableId::kLeases, key));
    if (known) return AlreadyExists("lease {:?}", lease.id);
    lease.created_at = txn.now();
    const metadata::Node node{metadata::NodeType::kLease, ctx.ns, lease.id};
    txn.Touch(node);
    txn.TouchLabels(node, lease.labels);
    RETURN_IF_ERROR(txn.EnsureNamespace(ctx.ns));
    RETURN_IF_ERROR(txn.Put(TableId::kLeases, key, Encode(lease)));
    return lease;
  });
}

absl::Status LeaseStore::Delete(const Context& ctx, std::string_view id) {
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    RETURN_IF_ERROR(RequireLease(txn, ctx, id));
    return DeleteLease(txn, ctx.ns, id);
  });
}

absl::StatusOr<std::vector<Lease>> LeaseStore::List(const Context& ctx) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  const std::string prefix = db::KeyPrefix({ctx.ns});
  std::vector<Lease> leases;
  RETURN_IF_ERROR(txn.raw().ForEach(
      txn.table(TableId::kLeases), prefix,
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(Lease lease, Decode(key.substr(prefix.size()), bytes));
        leases.push_back(std::move(lease));
        return db::Scan::kContinue;
      }));
  return leases;
}

absl::Status LeaseStore::AddResource(const Context& ctx, std::string_view lease,
                                     const Resource& resource) {
  RETURN_IF_ERROR(ValidateResource(resource));
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    RETURN_IF_ERROR(RequireLease(txn, ctx, lease));
    Context leased = ctx;
    leased.lease = lease;
    return metadata::AddToLease(txn, leased, resource.type, resource.id);
  });
}

absl::Status LeaseStore::DeleteResource(const Context& ctx, std::string_view lease,
                                        const Resource& resource) {
  RETURN_IF_ERROR(ValidateResource(resource));
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    RETURN_IF_ERROR(RequireLease(txn, ctx, lease));
    Context leased = ctx;
    leased.lease = lease;
    txn.MarkDirty();
    return metadata::RemoveFromLease(txn, leased, resource.type, resource.id);
  });
}

absl::StatusOr<std::vector<Resource>> LeaseStore::ListResources(const Context& ctx,
                                                                std::string_view lease) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ASSIGN_OR_RETURN(const bool known, txn.Has(TableId::kLeases, db::JoinKey({ctx.ns, lease})));
  if (!known) return NotFound("lease {:?}", lease);
  const std::string prefix = db::KeyPrefix({ctx.ns, lease});
  std::vector<Resource>
      resources;  // Key order is the promised order: content, images, ingests, snapshots.
  RETURN_IF_ERROR(
      txn.raw().ForEach(txn.table(TableId::kLeaseMembers), prefix,
                        [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                          key.remove_prefix(prefix.size());
                          const auto parts = db::SplitKey(key);
                          if (parts.size() != 2) return DataLoss("lease member of {:?}", lease);
                          resources.push_back({std::string(parts[0]), std::string(parts[1])});
                          return db::Scan::kContinue;
                        }));
  return resources;
}

absl::Status DeleteLease(metadata::WriteTxn& txn, std::string_view ns, std::string_view id) {
  std::vector<std::string> members;
  RETURN_IF_ERROR(
      txn.raw().ForEach(txn.table(TableId::kLeaseMembers), db::KeyPrefix({ns, id}),
                        [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                          members.emplace_back(key);
                          return db::Scan::kContinue;
                        }));
  for (const std::string& member : members)
    RETURN_IF_ERROR(txn.Delete(TableId::kLeaseMembers, member).status());
  txn.MarkDirty();
  return txn.Delete(TableId::kLeases, db::JoinKey({ns, id})).status();
}

}  // namespace gantry::leases
