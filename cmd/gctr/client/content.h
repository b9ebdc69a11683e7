// SPDX-License-Identifier: Apache-2.0
// Blobs of the daemon's content store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "core/base/labels.h"
#include "core/base/stream.h"
#include "core/digest/digest.h"
#include "proto/services/content/v1/content.grpc.pb.h"

namespace gantry::gctr {

// Hands the blob's bytes to `sink` in order.
absl::Status ReadBlob(const Client& client, const std::string& digest,
                      absl::FunctionRef<absl::Status(std::string_view)> sink);

// The blob as a stream. NotFound and the like come with the first Read(). The client outlives it.
std::unique_ptr<Reader> OpenBlob(const Client& client, const std::string& digest);

// The blob; ResourceExhausted when it is longer than `max_bytes`.
absl::StatusOr<std::string> LoadBlob(const Client& client, const std::string& digest,
                                     size_t max_bytes);

struct BlobWrite {
  std::string ref;       // names the ingest while it is under way
  std::string expected;  // digest; empty if not known
  int64_t size = 0;      // 0 if not known
  Labels labels = {};
};

// Stores what `content` delivers, from the beginning even if an ingest of the name lies there. The
// digest and the size; a blob that exists already is success.
absl::StatusOr<std::pair<Digest, int64_t>> StoreBlob(const Client& client, const BlobWrite& write,
                                                     Reader& content);

absl::StatusOr<containerd::services::content::v1::Info> BlobInfo(const Client& client,
                                                                 const std::string& digest);

// Sets these labels and leaves others; an empty value deletes.
absl::StatusOr<containerd::services::content::v1::Info> SetBlobLabels(
    const Client& client, const std::string& digest,
    const std::vector<std::pair<std::string, std::string>>& labels);

}  // namespace gantry::gctr
