// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/content/content.h"
#include "core/content/guards.h"
#include "core/events/publisher.h"
#include "core/metadata/field_mask.h"
#include "core/metadata/metadata.h"

namespace gantry::content {

class IngestWriter;

// What an ingest is opened with.
struct WriteOptions {
  std::string ref;       // the client's name for it
  int64_t total = 0;     // 0 if unknown
  std::string expected;  // digest, empty if unknown
};

// Content as namespaces see it: records over a Backend. A namespace sees only blobs that it has a
// record for; which others it may take over without sending bytes is the sharing policy's business
// (Metadata::Options::content_shared).
//
// Threads: all methods from any thread; they may block on the disk.
// Errors:  NotFound, AlreadyExists, InvalidArgument, Unavailable (ref locked), FailedPrecondition
// (size or digest differ),
//          OutOfRange, ResourceExhausted.
class ContentStore {
 public:
  ContentStore(metadata::Metadata& metadata, Backend& backend, events::Publisher& events)
      : metadata_(metadata), backend_(backend), events_(events) {}

  // What the disk has lost is NotFound, like what was never there: whoever needs it may write it
  // anew. Its record stays, for Update and Delete too.
  absl::StatusOr<Info> Get(const Context& ctx, std::string_view digest) const;
  // In byte order of the digest; those after `after`, at most `limit` (0: all).
  absl::StatusOr<std::vector<Info>> List(const Context& ctx, std::string_view after,
                                         size_t limit) const;
  // Only labels change.
  absl::StatusOr<Info> Update(const Context& ctx, std::string_view digest, const Labels& labels,
                              const metadata::FieldMask& mask);
  // Removes the record; the bytes go with the next collection unless another namespace has them.
  absl::Status Delete(const Context& ctx, std::string_view digest);

  absl::StatusOr<std::unique_ptr<BlobReader>> Open(const Context& ctx,
                                                   std::string_view digest) const;

  absl::StatusOr<IngestStatus> Status(const Context& ctx, std::string_view ref) const;
  absl::StatusOr<std::vector<IngestStatus>> ListStatuses(const Context& ctx) const;
  // Unavailable while the ingest is being written; it is given a moment to end.
  absl::Status Abort(const Context& ctx, std::string_view ref);

  // Starts or resumes an ingest and locks its ref until the writer goes. AlreadyExists, with the
  // content attached to the caller's lease, if the namespace has the expected blob.
  absl::StatusOr<std::unique_ptr<IngestWriter>> OpenWriter(const Context& ctx,
                                                           const WriteOptions& options);

  bool remote() const { return backend_.remote(); }

  // Removes blobs and ingests that no record owns; see gc::Backend.
  absl::Status CleanUp(const Context& ctx);

  // The blobs of all namespaces that have a record and no bytes, or whose file the disk cannot tell
  // of, as "<namespace>/<digest>". Of a remote backend none is known.
  absl::StatusOr<std::vector<std::string>> FindLost(const Context& ctx) const;

 private:
  friend class IngestWriter;

  // Whether the bytes of a record are there, as far as their number tells. What a remote backend
  // has, it tells when it is read.
  absl::StatusOr<bool> HasBytes(const Context& ctx, const Info& info) const;
  absl::StatusOr<std::optional<Info>> Find(const Context& ctx, const Digest& digest) const;
  // Attaches an existing blob to the caller's lease. False if there is no such blob.
  absl::StatusOr<bool> AdoptExisting(const Context& ctx, const Digest& digest);
  absl::StatusOr<bool> TryShare(const Context& ctx, const WriteOptions& options,
                                const Digest& digest, std::optional<int64_t> backend_size);
  absl::Status RecordIngest(const Context& ctx, const std::string& ref, bool shared,
                            const std::string& expected, int64_t size);
  absl::StatusOr<IngestStatus> Describe(const Context& ctx, const std::string& ref) const;
  absl::Status RemoveBlobIfUnowned(const Context& ctx, const Digest& digest);
  absl::Status RemoveIngestIfUnowned(const Context& ctx, const std::string& backend_ref);

  metadata::Metadata& metadata_;
  Backend& backend_;
  events::Publisher& events_;
  RefLocks locks_;
  DigestUses uses_;
};

}  // namespace gantry::content
