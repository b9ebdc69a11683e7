// SPDX-License-Identifier: Apache-2.0
#include "core/content/content_store.h"

#include <utility>

#include "absl/time/clock.h"
#include "core/content/content_record.h"
#include "core/content/ingest_writer.h"
#include "core/db/key.h"
#include "core/log/log.h"
#include "core/metadata/lease_link.h"
#include "core/metadata/record.h"
#include "proto/events/content.pb.h"

namespace gantry::content {
namespace {

using metadata::TableId;

constexpr absl::Duration kUnleasedIngestLife = absl::Hours(24);
// The stored ref must be read back whole; clients' are a tenth of this at most.
constexpr size_t kMaxRefBytes = 4096;
constexpr absl::Duration kAbortPatience = absl::Milliseconds(250);

// The counter that upstream puts between namespace and ref belongs to the fresh record, so it is
// always 1.
std::string BackendRef(std::string_view ns, std::string_view ref) {
  return fmt::format("{}/1/{}", ns, ref);
}

// Whether a shared ingest stands on this blob.
absl::StatusOr<bool> IsPinned(const metadata::View& view, const Digest& digest) {
  bool pinned = false;
  RETURN_IF_ERROR(view.txn.ForEach(
      view.table(TableId::kIngests), {},
      [&](std::string_view, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(const IngestRecord record, metadata::Decode<IngestRecord>(bytes));
        pinned = record.expected() == digest.str();
        return pinned ? db::Scan::kStop : db::Scan::kContinue;
      }));
  return pinned;
}

}  // namespace

absl::StatusOr<Info> ContentStore::Get(const Context& ctx, std::string_view text) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(text));
  ASSIGN_OR_RETURN(std::optional<Info> info, Find(ctx, digest));
  if (!info) return NotFound("content {}", digest.str());
  return *std::move(info);
}

absl::StatusOr<std::optional<Info>> ContentStore::Find(const Context& ctx,
                                                       const Digest& digest) const {
  Info info;
  {
    ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
    ASSIGN_OR_RETURN(const auto bytes,
                     txn.Get(TableId::kBlobs, db::JoinKey({ctx.ns, digest.str()})));
    if (!bytes) return std::nullopt;
    ASSIGN_OR_RETURN(info, DecodeBlob(digest, *bytes));
  }
  ASSIGN_OR_RETURN(const bool there, HasBytes(ctx, info));
  if (!there) return std::nullopt;
  return info;
}

absl::StatusOr<bool> ContentStore::HasBytes(const Context& ctx, const Info& info) const {
  if (backend_.remote()) return true;
  ASSIGN_OR_RETURN(const std::optional<int64_t> size, backend_.Size(ctx, info.digest));
  return size == info.size;
}

absl::StatusOr<std::vector<Info>> ContentStore::List(const Context& ctx, std::string_view after,
                                                     size_t limit) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  const std::string prefix = db::KeyPrefix({ctx.ns});
  const std::string start = after.empty() ? std::string() : prefix + std::string(after);
  std::vector<Info> infos;
  // The disk is asked meanwhile: that takes a few microseconds for each.
  RETURN_IF_ERROR(txn.raw().ForEach(
      txn.table(TableId::kBlobs), prefix, start,
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(key.substr(prefix.size())));
        ASSIGN_OR_RETURN(Info info, DecodeBlob(digest, bytes));
        if (!HasBytes(ctx, info).value_or(false)) return db::Scan::kContinue;
        infos.push_back(std::move(info));
        return infos.size() == limit ? db::Scan::kStop : db::Scan::kContinue;
      }));
  return infos;
}

absl::StatusOr<Info> ContentStore::Update(const Context& ctx, std::string_view text,
                                          const Labels& labels, const metadata::FieldMask& mask) {
  ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(text));
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Info> {
    ASSIGN_OR_RETURN(const auto bytes,
                     txn.Get(TableId::kBlobs, db::JoinKey({ctx.ns, digest.str()})));
    if (!bytes) return NotFound("content {}", digest.str());
    ASSIGN_OR_RETURN(Info info, DecodeBlob(digest, *bytes));
    RETURN_IF_ERROR(metadata::ApplyLabelsOnly(mask, "content", labels, info.labels));
    info.updated_at = txn.now();
    RETURN_IF_ERROR(PutBlob(txn, ctx.ns, info));
    return info;
  });
}

absl::Status ContentStore::Delete(const Context& ctx, std::string_view text) {
  ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(text));
  RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const bool known, DeleteBlob(txn, ctx.ns, digest));
    if (!known) return NotFound("content {}", digest.str());
    return metadata::RemoveFromLease(txn, ctx, metadata::kContentResource, digest.str());
  }));
  containerd::events::ContentDelete event;
  event.set_digest(digest.str());
  return events_.Publish(ctx, "/content/delete", event);
}

absl::StatusOr<std::unique_ptr<BlobReader>> ContentStore::Open(const Context& ctx,
                                                               std::string_view text) const {
  ASSIGN_OR_RETURN(const Info info, Get(ctx, text));
  return backend_.Open(ctx, info.digest);
}

absl::StatusOr<IngestStatus> ContentStore::Describe(const Context& ctx,
                                                    const std::string& ref) const {
  std::optional<IngestRecord> record;
  {
    ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
    ASSIGN_OR_RETURN(record, GetIngest(txn.view(), ctx.ns, ref));
  }
  if (!record) return NotFound("ingest {:?}", ref);
  if (!record->expected().empty()) {
    const absl::Time started = metadata::FromProto(record->started_at());
    return IngestStatus{.ref = ref,
                        .offset = record->shared_size(),
                        .total = record->shared_size(),
                        .expected = record->expected(),
                        .started_at = started,
                        .updated_at = started};
  }
  ASSIGN_OR_RETURN(auto status, backend_.Status(ctx, record->backend_ref()));
  if (!status) return NotFound("ingest {:?}", ref);
  status->ref = ref;
  return *std::move(status);
}

absl::StatusOr<IngestStatus> ContentStore::Status(const Context& ctx, std::string_view ref) const {
  RETURN_IF_ERROR(ctx.Check());
  return Describe(ctx, std::string(ref));
}

absl::StatusOr<std::vector<IngestStatus>> ContentStore::ListStatuses(const Context& ctx) const {
  RETURN_IF_ERROR(ctx.Check());
  std::vector<std::string> refs;
  {
    ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
    const std::string prefix = db::KeyPrefix({ctx.ns});
    RETURN_IF_ERROR(
        txn.raw().ForEach(txn.table(TableId::kIngests), prefix,
                          [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                            refs.emplace_back(key.substr(prefix.size()));
                            return db::Scan::kContinue;
                          }));
  }
  std::vector<IngestStatus> statuses;
  for (const std::string& ref : refs) {
    absl::StatusOr<IngestStatus> status = Describe(ctx, ref);
    RETURN_IF_ERROR(ctx.Check());
    if (absl::IsNotFound(status.status())) continue;  // Committed or aborted meanwhile.
    if (!status.ok()) {
      log::Warn("cannot tell the state of an ingest",
                {{"ns", ctx.ns}, {"ref", ref}, {"error", status.status()}});
      continue;
    }
    statuses.push_back(*std::move(status));
  }
  return statuses;
}

absl::Status ContentStore::Abort(const Context& ctx, std::string_view ref) {
  // A client that has just closed its writer does not wait until that is noticed here.
  ASSIGN_OR_RETURN(const RefLocks::Held lock,
                   locks_.Lock(BackendRef(ctx.ns, ref), absl::Now() + kAbortPatience));
  RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const bool known, DeleteIngest(txn, ctx.ns, ref));
    if (!known) return NotFound("ingest {:?}", ref);
    return metadata::RemoveFromLease(txn, ctx, metadata::kIngestResource, ref);
  }));
  return backend_.Abort(ctx, BackendRef(ctx.ns, ref));
}

absl::StatusOr<bool> ContentStore::AdoptExisting(const Context& ctx, const Digest& digest) {
  ASSIGN_OR_RETURN(const std::optional<Info> found, Find(ctx, digest));
  if (!found || ctx.lease.empty()) return found.has_value();
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(const bool known,
                     txn.Has(TableId::kBlobs, db::JoinKey({ctx.ns, digest.str()})));
    if (known)
      RETURN_IF_ERROR(metadata::AddToLease(txn, ctx, metadata::kContentResource, digest.str()));
    return known;
  });
}

absl::StatusOr<bool> ContentStore::TryShare(const Context& ctx, const WriteOptions& options,
                                            const Digest& digest,
                                            std::optional<int64_t> backend_size) {
  if (!backend_size || (options.total != 0 && options.total != *backend_size)) return false;
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ASSIGN_OR_RETURN(const auto record, GetIngest(txn.view(), ctx.ns, options.ref));
  if (record && record->expected().empty()) return false;  // A real ingest goes on as one.
  ASSIGN_OR_RETURN(const std::optional<int64_t> recorded, RecordedSize(txn.view(), digest));
  // Where no owner tells the size of the whole blob, an ingest that stands on it does, or the
  // caller. One of another size is damaged.
  std::optional<int64_t> whole;
  if (options.total > 0) whole = options.total;
  if (record && record->expected() == digest.str()) whole = record->shared_size();
  if (recorded) whole = recorded;
  if (whole != backend_size) return false;
  return IsShareable(txn.view(), metadata_.content_shared(), digest);
}

absl::Status ContentStore::RecordIngest(const Context& ctx, const std::string& ref, bool shared,
                                        const std::string& expected, int64_t size) {
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const auto old, GetIngest(txn.view(), ctx.ns, ref));
    IngestRecord record;
    record.set_backend_ref(BackendRef(ctx.ns, ref));
    if (ctx.lease.empty()) {
      *record.mutable_expires_at() = metadata::ToProto(txn.now() + kUnleasedIngestLife);
      txn.NoteExpiry(txn.now() + kUnleasedIngestLife);
    } else if (old && old->has_expires_at()) {
      *record.mutable_expires_at() = old->expires_at();
    }
    if (shared) {
      record.set_expected(expected);
      record.set_shared_size(size);
      *record.mutable_started_at() = metadata::ToProto(txn.now());
    } else {
      record.set_promised(expected);
    }
    RETURN_IF_ERROR(metadata::AddToLease(txn, ctx, metadata::kIngestResource, ref));
    return PutIngest(txn, ctx.ns, ref, record);
  });
}

absl::StatusOr<std::unique_ptr<IngestWriter>> ContentStore::OpenWriter(
    const Context& ctx, const WriteOptions& options) {
  if (options.ref.empty()) return InvalidArgument("ref must not be empty");
  if (options.ref.size() > kMaxRefBytes)
    return InvalidArgument("ref of {} bytes exceeds {}", options.ref.size(), kMaxRefBytes);
  RETURN_IF_ERROR(db::CheckComponent("ref", options.ref));
  Digest expected;
  if (!options.expected.empty()) {
    ASSIGN_OR_RETURN(expected, Digest::Parse(options.expected));
    ASSIGN_OR_RETURN(const bool exists, AdoptExisting(ctx, expected));
    if (exists) return AlreadyExists("content {}", expected.str());
  }
  const std::string backend_ref = BackendRef(ctx.ns, options.ref);
  ASSIGN_OR_RETURN(RefLocks::Held lock, locks_.TryLock(backend_ref));
  auto writer =
      std::unique_ptr<IngestWriter>(new IngestWriter(*this, std::move(lock), ctx, options.ref));
  writer->backend_ref_ = backend_ref;
  if (!expected.empty()) {
    DigestUses::Use use = uses_.Acquire(expected);
    ASSIGN_OR_RETURN(const auto size, backend_.Size(ctx, expected));
    ASSIGN_OR_RETURN(const bool share, TryShare(ctx, options, expected, size));
    if (share) {
      RETURN_IF_ERROR(RecordIngest(ctx, options.ref, true, expected.str(), *size));
      writer->shared_use_.emplace(std::move(use));
      writer->shared_digest_ = expected;
      writer->shared_size_ = *size;
      writer->started_at_ = metadata_.clock().Now();
      return writer;
    }
  }
  writer->promised_ = expected.str();
  RETURN_IF_ERROR(RecordIngest(ctx, options.ref, false, writer->promised_, 0));
  ASSIGN_OR_RETURN(writer->backend_, backend_.OpenWriter(ctx, backend_ref, options.total));
  return writer;
}

absl::Status ContentStore::RemoveBlobIfUnowned(const Context& ctx, const Digest& digest) {
  absl::Status status = absl::OkStatus();
  uses_.DeleteUnused(digest, [&] {
    const auto remove = [&]() -> absl::Status {
      // Read after the digest is reserved: a record made before is seen, and none can be made now.
      ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
      ASSIGN_OR_RETURN(const bool owned, IsOwned(txn.view(), digest));
      if (owned) return absl::OkStatus();
      ASSIGN_OR_RETURN(const bool pinned, IsPinned(txn.view(), digest));
      return pinned ? absl::OkStatus() : backend_.Delete(ctx, digest);
    };
    status = remove();
  });
  return status;
}

absl::Status ContentStore::RemoveIngestIfUnowned(const Context& ctx,
                                                 const std::string& backend_ref) {
  const absl::StatusOr<RefLocks::Held> lock = locks_.TryLock(backend_ref);
  if (!lock.ok()) return absl::OkStatus();  // Being written.
  const size_t ns_end = backend_ref.find('/');
  const size_t count_end = ns_end == std::string::npos ? ns_end : backend_ref.find('/', ns_end + 1);
  if (count_end != std::string::npos) {
    ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
    ASSIGN_OR_RETURN(const auto record, GetIngest(txn.view(), backend_ref.substr(0, ns_end),
                                                  backend_ref.substr(count_end + 1)));
    if (record && record->backend_ref() == backend_ref) return absl::OkStatus();
  }
  return backend_.Abort(ctx, backend_ref);
}

absl::StatusOr<std::vector<std::string>> ContentStore::FindLost(const Context& ctx) const {
  std::vector<std::string> lost;
  if (backend_.remote()) return lost;
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  RETURN_IF_ERROR(txn.raw().ForEach(
      txn.table(TableId::kBlobs), {},
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        const std::vector<std::string_view> parts = db::SplitKey(key);
        if (parts.size() != 2) return DataLoss("blob record with a key of another shape");
        ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(parts[1]));
        ASSIGN_OR_RETURN(const Info info, DecodeBlob(digest, bytes));
        if (!HasBytes(ctx, info).value_or(false))
          lost.push_back(fmt::format("{}/{}", parts[0], parts[1]));
        return db::Scan::kContinue;
      }));
  return lost;
}

absl::Status ContentStore::CleanUp(const Context& ctx) {
  std::vector<RemovableBlob> removable;
  {
    ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
    ASSIGN_OR_RETURN(removable, ListRemovable(txn.view()));
  }
  absl::Status first = absl::OkStatus();
  const auto note = [&](const absl::Status& status) {
    if (status.ok()) return;
    log::Warn("cannot remove content", {{"error", status}});
    first.Update(status);
  };
  RETURN_IF_ERROR(backend_.ForEachBlob(ctx, [&](const Digest& digest) -> absl::Status {
    RETURN_IF_ERROR(ctx.Check());
    note(RemoveBlobIfUnowned(ctx, digest));
    return absl::OkStatus();
  }));
  RETURN_IF_ERROR(backend_.ForEachIngest(ctx, [&](const std::string& ref) -> absl::Status {
    RETURN_IF_ERROR(ctx.Check());
    note(RemoveIngestIfUnowned(ctx, ref));
    return absl::OkStatus();
  }));
  if (!first.ok() || removable.empty()) return first;
  // A file that came back after it is forgotten would be a stranger's.
  RETURN_IF_ERROR(backend_.SyncDeletes(ctx));
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) {
    txn.MarkByCollector();
    return ForgetRemovable(txn, removable);
  });
}

}  // namespace gantry::content
