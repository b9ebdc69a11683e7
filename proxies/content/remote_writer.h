// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "core/content/content.h"
#include "proto/services/content/v1/content.pb.h"

namespace gantry::proxies {

class RemoteBackend;
class WriteStream;

// Writes one ingest of a RemoteBackend: one stream, on which each message is answered before the
// next is sent. The other process keeps what it got when the stream ends.
class RemoteWriter final : public content::BackendWriter {
 public:
  static absl::StatusOr<std::unique_ptr<RemoteWriter>> Open(RemoteBackend& backend,
                                                            const Context& ctx,
                                                            const std::string& ref, int64_t total);
  ~RemoteWriter() override;

  content::IngestStatus status() const override { return status_; }
  Digest Current() const override { return digest_; }
  absl::Status Write(std::string_view bytes) override;
  absl::Status Truncate() override;
  // The other process makes bytes durable as it commits. Unimplemented for another algorithm than
  // the running digest's, which is SHA-256.
  absl::StatusOr<Digest> Flush(DigestAlgorithm algorithm) override;
  absl::Status Publish(const Digest& digest) override;

 private:
  RemoteWriter(std::unique_ptr<WriteStream> stream, std::string ref);

  // Sends one message and takes over what the answer tells.
  absl::Status Exchange(::containerd::services::content::v1::WriteContentRequest request);

  const std::unique_ptr<WriteStream> stream_;
  const std::string ref_;
  content::IngestStatus status_;
  Digest digest_;
};

}  // namespace gantry::proxies
