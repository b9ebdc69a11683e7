// SPDX-License-Identifier: Apache-2.0
// The words of content: blobs, ingests, and where their bytes live.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/digest/digest.h"
#include "core/plugin/plugin.h"

namespace gantry::content {

// A blob as one namespace sees it.
struct Info {
  Digest digest;
  int64_t size = 0;
  Labels labels;
  absl::Time created_at;
  absl::Time updated_at;
};

// An ingest: content that is still being written.
struct IngestStatus {
  std::string ref;
  int64_t offset = 0;
  int64_t total = 0;     // 0 if unknown
  std::string expected;  // empty if unknown
  absl::Time started_at;
  absl::Time updated_at;
};

// Reads one blob at any place. Threads: any, at once.
class BlobReader {
 public:
  virtual ~BlobReader() = default;
  virtual int64_t size() const = 0;
  // Fills the front of `buffer` from `offset`, fewer bytes only at the blob's end.
  virtual absl::StatusOr<size_t> ReadAt(int64_t offset, std::span<char> buffer) = 0;
};

// Writes one ingest. Threads: one at a time. Destruction leaves the ingest resumable.
class BackendWriter {
 public:
  virtual ~BackendWriter() = default;

  // Offset, total and times; the ref is the backend's.
  virtual IngestStatus status() const = 0;
  // Of the bytes so far.
  virtual Digest Current() const = 0;
  virtual absl::Status Write(std::string_view bytes) = 0;
  // Back to nothing.
  virtual absl::Status Truncate() = 0;
  // Makes the bytes durable and tells their digest under `algorithm`. Nothing is visible yet.
  virtual absl::StatusOr<Digest> Flush(DigestAlgorithm algorithm) = 0;
  // Puts what was flushed at its place as `digest`, durably; a blob of its size that is there
  // already stays.
  // The ingest is gone after it.
  virtual absl::Status Publish(const Digest& digest) = 0;
  // Says that the ingest is aborted next: destruction need not take care of what was written.
  virtual void Abandon() {}
};

// Bytes on disk, whatever namespace they belong to.
//
// Threads: all methods from any thread; of one ref, one writer at a time (the caller holds its
// lock).
class Backend {
 public:
  virtual ~Backend() = default;

  // Whether another process does the work, which may not answer.
  virtual bool remote() const { return false; }

  // Its size, or nothing if there is no such blob.
  virtual absl::StatusOr<std::optional<int64_t>> Size(const Context& ctx, const Digest& digest) = 0;
  virtual absl::StatusOr<std::unique_ptr<BlobReader>> Open(const Context& ctx,
                                                           const Digest& digest) = 0;
  // A missing blob is no error.
  virtual absl::Status Delete(const Context& ctx, const Digest& digest) = 0;
  virtual absl::Status ForEachBlob(const Context& ctx,
                                   absl::FunctionRef<absl::Status(const Digest&)> visit) = 0;
  // Forces a blob to disk that another writer may have put there a moment ago: after this no power
  // cut takes it away. NotFound if there is no such blob.
  virtual absl::Status Sync(const Context& ctx, const Digest& digest) = 0;
  // Forces what was deleted to disk: no power cut brings it back.
  virtual absl::Status SyncDeletes(const Context& ctx) = 0;

  // Resumes the ingest, or starts it anew where there is none or its total is another. Of the
  // writer too, whatever takes long ends with `ctx`.
  virtual absl::StatusOr<std::unique_ptr<BackendWriter>> OpenWriter(const Context& ctx,
                                                                    const std::string& ref,
                                                                    int64_t total) = 0;
  // Nothing if there is no such ingest.
  virtual absl::StatusOr<std::optional<IngestStatus>> Status(const Context& ctx,
                                                             const std::string& ref) = 0;
  // A missing ingest is no error.
  virtual absl::Status Abort(const Context& ctx, const std::string& ref) = 0;
  // By backend ref.
  virtual absl::Status ForEachIngest(
      const Context& ctx, absl::FunctionRef<absl::Status(const std::string& ref)> visit) = 0;
};

inline constexpr plugin::Kind<Backend> kBackend{"io.containerd.content.v1"};

}  // namespace gantry::content
