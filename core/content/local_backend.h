// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/worker_pool.h"
#include "core/content/blob_folders.h"
#include "core/content/content.h"

namespace gantry::content {

// Blobs and ingests in one folder, laid out as containerd lays them out:
//   blobs/<algorithm>/<hex>   read-only, mtime = commit
//   ingest/<sha256 of ref>/   see ingest_dir.h
//
// A blob is there whole or not at all: its bytes are on disk before it gets its name, the name
// before Publish() returns.
class LocalBackend final : public Backend {
 public:
  static absl::StatusOr<std::unique_ptr<LocalBackend>> Open(std::filesystem::path root,
                                                            const base::Clock& clock);

  absl::StatusOr<std::optional<int64_t>> Size(const Context& ctx, const Digest& digest) override;
  absl::StatusOr<std::unique_ptr<BlobReader>> Open(const Context& ctx,
                                                   const Digest& digest) override;
  absl::Status Delete(const Context& ctx, const Digest& digest) override;
  absl::Status ForEachBlob(const Context& ctx,
                           absl::FunctionRef<absl::Status(const Digest&)> visit) override;
  absl::Status Sync(const Context& ctx, const Digest& digest) override;
  absl::Status SyncDeletes(const Context& ctx) override;
  absl::StatusOr<std::unique_ptr<BackendWriter>> OpenWriter(const Context& ctx,
                                                            const std::string& ref,
                                                            int64_t total) override;
  absl::StatusOr<std::optional<IngestStatus>> Status(const Context& ctx,
                                                     const std::string& ref) override;
  absl::Status Abort(const Context& ctx, const std::string& ref) override;
  absl::Status ForEachIngest(
      const Context& ctx, absl::FunctionRef<absl::Status(const std::string& ref)> visit) override;

 private:
  LocalBackend(std::filesystem::path root, const base::Clock& clock)
      : root_(std::move(root)), blobs_(root_ / "blobs"), clock_(clock) {}

  std::filesystem::path ingests() const { return root_ / "ingest"; }

  const std::filesystem::path root_;
  BlobFolders blobs_;
  const base::Clock& clock_;
  // Beside the threads that write: a thread of each kind keeps up with any disk.
  static constexpr size_t kHashThreads = 2;
  static constexpr size_t kMaxQueued = 64;
  base::WorkerPool hashing_{"hash", kHashThreads, kMaxQueued};
};

}  // namespace gantry::content
