// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/content/content.h"

namespace gantry::proxies {

class RemoteBackend;

// Reads a blob of a RemoteBackend, one call for each piece.
class RemoteReader final : public content::BlobReader {
 public:
  RemoteReader(RemoteBackend& backend, Context ctx, Digest digest, int64_t size)
      : backend_(backend), ctx_(std::move(ctx)), digest_(std::move(digest)), size_(size) {}

  int64_t size() const override { return size_; }
  absl::StatusOr<size_t> ReadAt(int64_t offset, std::span<char> buffer) override;

 private:
  RemoteBackend& backend_;
  const Context ctx_;  // of who opened it: the blob is read for that caller
  const Digest digest_;
  const int64_t size_;
};

}  // namespace gantry::proxies
