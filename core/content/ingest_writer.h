// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/stream.h"
#include "core/content/content_store.h"

namespace gantry::content {

// Writes one ingest of one namespace.
//
// A shared ingest stands on a blob that is there already: it is complete from the start and becomes
// a real one only if it is written to.
//
// What takes long also ends with the context that it was opened with.
//
// Ownership: holds the ref's lock; outlived by the store. Destruction leaves the ingest resumable.
// Threads:   one at a time.
class IngestWriter final : public Writer {
 public:
  IngestStatus status() const;
  int64_t offset() const;
  // Of the bytes so far.
  Digest Current() const;

  absl::Status Write(std::string_view bytes) override;
  absl::Status Truncate();

  // For whoever destroys the writer and aborts the ingest next: spares the flush in between.
  void Abandon();

  // Makes the ingest a blob of the namespace. `size` 0 and an empty `expected` are not checked.
  // FailedPrecondition for a wrong size or digest: the ingest stays as it is. AlreadyExists if the
  // namespace has the blob: the ingest is gone.
  absl::StatusOr<Digest> Commit(const Context& ctx, int64_t size, std::string_view expected,
                                Labels labels);

  // AlreadyExists, after dropping this ingest, if the namespace has a blob of this digest; OK
  // otherwise.
  absl::Status CheckExpected(const Context& ctx, std::string_view expected);

 private:
  friend class ContentStore;
  IngestWriter(ContentStore& store, RefLocks::Held lock, Context ctx, std::string ref)
      : store_(store), lock_(std::move(lock)), ctx_(std::move(ctx)), ref_(std::move(ref)) {}

  absl::Status Materialize(bool keep_bytes);
  absl::Status Validate(int64_t size, std::string_view expected, const Labels& labels) const;
  absl::StatusOr<Digest> FlushAndCompare(std::string_view expected);
  // Notes in the ingest's record which blob it is about to put in place.
  absl::Status Promise(const Context& ctx, const Digest& digest);
  absl::StatusOr<bool> Record(const Context& ctx, const Info& info);
  absl::Status Drop(const Context& ctx);

  ContentStore& store_;
  RefLocks::Held lock_;
  const Context ctx_;  // that it was opened with
  const std::string ref_;
  std::string backend_ref_;
  std::string promised_;                    // the digest in the ingest's record
  std::unique_ptr<BackendWriter> backend_;  // null while shared, and after the end
  std::optional<DigestUses::Use> shared_use_;
  Digest shared_digest_;
  int64_t shared_size_ = 0;
  absl::Time started_at_;
};

}  // namespace gantry::content
