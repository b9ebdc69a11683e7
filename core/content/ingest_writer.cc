// SPDX-License-Identifier: Apache-2.0
#include "core/content/ingest_writer.h"

#include <utility>
#include <vector>

#include "core/content/content_record.h"
#include "core/db/key.h"
#include "core/metadata/lease_link.h"
#include "proto/events/content.pb.h"

namespace gantry::content {
namespace {

using metadata::TableId;

constexpr size_t kCopyBytes = 1 << 20;

absl::Status Copy(const Context& ctx, BlobReader& from, BackendWriter& to) {
  std::vector<char> buffer(kCopyBytes);
  for (int64_t offset = 0; offset < from.size();) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const size_t count, from.ReadAt(offset, buffer));
    if (count == 0) return DataLoss("blob is shorter than its size");
    RETURN_IF_ERROR(to.Write({buffer.data(), count}));
    offset += static_cast<int64_t>(count);
  }
  return absl::OkStatus();
}

}  // namespace

IngestStatus IngestWriter::status() const {
  IngestStatus status;
  if (backend_ != nullptr) {
    status = backend_->status();
  } else {
    status = {.offset = shared_size_,
              .total = shared_size_,
              .expected = shared_digest_.str(),
              .started_at = started_at_,
              .updated_at = started_at_};
  }
  status.ref = ref_;
  return status;
}

int64_t IngestWriter::offset() const {
  return backend_ != nullptr ? backend_->status().offset : shared_size_;
}

Digest IngestWriter::Current() const {
  return backend_ != nullptr ? backend_->Current() : shared_digest_;
}

absl::Status IngestWriter::Materialize(bool keep_bytes) {
  if (backend_ != nullptr) return absl::OkStatus();
  // The record must no longer promise the shared blob's bytes.
  const Context ctx{.ns = ctx_.ns};
  RETURN_IF_ERROR(store_.RecordIngest(ctx, ref_, false, {}, 0));
  RETURN_IF_ERROR(store_.backend_.Abort(ctx, backend_ref_));
  ASSIGN_OR_RETURN(auto writer, store_.backend_.OpenWriter(ctx, backend_ref_, 0));
  if (keep_bytes) {
    ASSIGN_OR_RETURN(const auto blob, store_.backend_.Open(ctx, shared_digest_));
    RETURN_IF_ERROR(Copy(ctx_, *blob, *writer));
  }
  backend_ = std::move(writer);
  shared_use_.reset();
  return absl::OkStatus();
}

absl::Status IngestWriter::Write(std::string_view bytes) {
  if (bytes.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(Materialize(true));
  return backend_->Write(bytes);
}

absl::Status IngestWriter::Truncate() {
  if (backend_ != nullptr) return backend_->Truncate();
  return Materialize(false);
}

void IngestWriter::Abandon() {
  if (backend_ != nullptr) backend_->Abandon();
}

absl::Status IngestWriter::Drop(const Context& ctx) {
  RETURN_IF_ERROR(store_.metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    RETURN_IF_ERROR(metadata::RemoveFromLease(txn, ctx, metadata::kIngestResource, ref_));
    return DeleteIngest(txn, ctx_.ns, ref_).status();
  }));
  Abandon();
  backend_.reset();
  return store_.backend_.Abort(ctx, backend_ref_);
}

absl::Status IngestWriter::CheckExpected(const Context& ctx, std::string_view expected) {
  ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(expected));
  ASSIGN_OR_RETURN(const bool exists, store_.AdoptExisting(ctx, digest));
  if (!exists) return absl::OkStatus();
  RETURN_IF_ERROR(Drop(ctx));
  return AlreadyExists("content {}", digest.str());
}

absl::Status IngestWriter::Validate(int64_t size, std::string_view expected,
                                    const Labels& labels) const {
  RETURN_IF_ERROR(ValidateLabels(labels));
  if (size != 0 && size != offset()) {
    return FailedPrecondition("{:?} failed size validation: {} != {}", ref_, offset(), size);
  }
  return expected.empty() ? absl::OkStatus() : Digest::Parse(expected).status();
}

absl::StatusOr<Digest> IngestWriter::FlushAndCompare(std::string_view expected_text) {
  Digest expected;
  if (!expected_text.empty()) {
    ASSIGN_OR_RETURN(expected, Digest::Parse(expected_text));
  }
  Digest actual = shared_digest_;
  if (backend_ != nullptr) {
    ASSIGN_OR_RETURN(actual, backend_->Flush(expected.algorithm()));
  }
  if (!expected.empty() && actual != expected) {
    return FailedPrecondition("unexpected commit digest {}, expected {}", actual.str(),
                              expected.str());
  }
  return actual;
}

absl::Status IngestWriter::Promise(const Context& ctx, const Digest& digest) {
  if (promised_ == digest.str()) return absl::OkStatus();
  RETURN_IF_ERROR(store_.metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(auto record, GetIngest(txn.view(), ctx_.ns, ref_));
    if (!record) return NoteRemovable(txn, digest.str());  // Collected while it was open.
    record->set_promised(digest.str());
    return PutIngest(txn, ctx_.ns, ref_, *record);
  }));
  promised_ = digest.str();
  return absl::OkStatus();
}

absl::StatusOr<bool> IngestWriter::Record(const Context& ctx, const Info& info) {
  return store_.metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(const bool known,
                     txn.Has(TableId::kBlobs, db::JoinKey({ctx_.ns, info.digest.str()})));
    RETURN_IF_ERROR(metadata::AddToLease(txn, ctx, metadata::kContentResource, info.digest.str()));
    RETURN_IF_ERROR(metadata::RemoveFromLease(txn, ctx, metadata::kIngestResource, ref_));
    RETURN_IF_ERROR(txn.Delete(TableId::kIngests, db::JoinKey({ctx_.ns, ref_})).status());
    if (known) return true;
    Info stamped = info;
    stamped.created_at = stamped.updated_at = txn.now();
    RETURN_IF_ERROR(PutBlob(txn, ctx_.ns, stamped));
    return false;
  });
}

absl::StatusOr<Digest> IngestWriter::Commit(const Context& ctx, int64_t size,
                                            std::string_view expected, Labels labels) {
  RETURN_IF_ERROR(Validate(size, expected, labels));
  DropEmptyLabels(labels);
  ASSIGN_OR_RETURN(const Digest digest, FlushAndCompare(expected));
  const DigestUses::Use use = store_.uses_.Acquire(digest);
  const int64_t length = offset();
  // The last moment for a caller to give up: once the file has its name, the record follows.
  RETURN_IF_ERROR(ctx.Check());
  if (backend_ != nullptr) {
    // The file must not be there before the database could know of it.
    RETURN_IF_ERROR(Promise(ctx, digest));
    RETURN_IF_ERROR(backend_->Publish(digest));
    backend_.reset();
    shared_digest_ = digest;  // What status() tells from here on.
    shared_size_ = length;
  } else {
    // Whoever wrote it may still be on the way to making its name durable.
    RETURN_IF_ERROR(store_.backend_.Sync(ctx, digest));
  }
  const absl::StatusOr<bool> recorded =
      Record(ctx.Detached(), {.digest = digest, .size = length, .labels = std::move(labels)});
  if (!recorded.ok()) {
    // The lease is gone, or the disk is full: nobody may own the file, so a collection must look.
    RETURN_IF_ERROR(store_.metadata_.Write(ctx.Detached(), [](metadata::WriteTxn& txn) {
      txn.MarkContentDirty();
      return absl::OkStatus();
    }));
    return recorded.status();
  }
  const bool existed = *recorded;
  if (existed) return AlreadyExists("content {}", digest.str());
  containerd::events::ContentCreate event;
  event.set_digest(digest.str());
  event.set_size(length);
  RETURN_IF_ERROR(store_.events_.Publish(ctx, "/content/create", event));
  return digest;
}

}  // namespace gantry::content
