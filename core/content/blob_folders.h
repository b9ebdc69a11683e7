// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <set>
#include <utility>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/digest/digest.h"

namespace gantry::content {

// The folders `blobs/<algorithm>` and what it takes until a name in them survives a power cut.
//
// Threads: any.
class BlobFolders {
 public:
  explicit BlobFolders(std::filesystem::path blobs) : blobs_(std::move(blobs)) {}

  const std::filesystem::path& root() const { return blobs_; }
  std::filesystem::path Path(const Digest& digest) const {
    return Folder(digest.algorithm()) / digest.hex();
  }

  // Makes the folder of the algorithm, on disk too before this returns.
  absl::Status Make(DigestAlgorithm algorithm);
  // Forces the names in the folder of the algorithm to disk, those that went among them.
  absl::Status SyncNames(DigestAlgorithm algorithm) const;
  // Forces a blob to disk that somebody else put there, bytes and name. NotFound without one.
  absl::Status SyncBlob(const Digest& digest) const;

 private:
  std::filesystem::path Folder(DigestAlgorithm algorithm) const {
    return blobs_ / DigestAlgorithmName(algorithm);
  }

  const std::filesystem::path blobs_;
  base::Mutex mutex_;  // held while a folder is made: whoever finds one may rely on it
  std::set<DigestAlgorithm> made_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::content
