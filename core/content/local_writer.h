// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/context.h"
#include "core/base/worker_pool.h"
#include "core/content/blob_folders.h"
#include "core/content/content.h"
#include "core/content/ingest_dir.h"
#include "core/digest/digest.h"
#include "core/kernel/unique_fd.h"

namespace gantry::content {

// Writes one ingest of a LocalBackend and turns it into a blob.
class LocalWriter final : public BackendWriter {
 public:
  // The backend's; outlives the writer.
  struct Place {
    std::filesystem::path ingests;
    BlobFolders& blobs;
    const base::Clock& clock;
    base::WorkerPool& hashing;  // threads for large writes
  };

  // Resuming hashes what is there again: a running hash is not stored.
  static absl::StatusOr<std::unique_ptr<LocalWriter>> Open(const Context& ctx, Place place,
                                                           const std::string& ref, int64_t total);
  ~LocalWriter() override;

  IngestStatus status() const override;
  Digest Current() const override { return hasher_.Current(); }
  absl::Status Write(std::string_view bytes) override;
  absl::Status Truncate() override;
  absl::StatusOr<Digest> Flush(DigestAlgorithm algorithm) override;
  absl::Status Publish(const Digest& digest) override;
  void Abandon() override { worth_keeping_ = false; }

 private:
  LocalWriter(Context ctx, Place place, IngestDir dir)
      : ctx_(std::move(ctx)), place_(std::move(place)), dir_(std::move(dir)) {}

  absl::Status OpenData(int64_t keep_bytes);
  absl::Status HashFile(const Context& ctx, Hasher& hasher) const;
  // After a failed write: makes file and running hash agree again.
  absl::Status CutBack(off_t size);
  // After a failed flush: nothing of what was written may be relied on. Gives `failed` back.
  absl::Status DropUnflushed(absl::Status failed);
  absl::Status Rename(const Digest& digest);
  // Makes what was acknowledged survive a power cut.
  absl::Status Keep();
  // Lets the kernel write what has come in to disk while more arrives, so that little is left for
  // the flush at the end.
  void StartWriteback();

  const Context ctx_;
  const Place place_;
  const IngestDir dir_;
  IngestDir::Description description_;
  kernel::UniqueFd data_;
  Hasher hasher_;
  off_t writeback_ = 0;  // up to here the kernel was told to write
  // Whether there is something new in the ingest that somebody may go on with.
  bool worth_keeping_ = false;
};

}  // namespace gantry::content
