// SPDX-License-Identifier: Apache-2.0
// Image archives, as "docker save" and OCI layouts in a tar are, taken into a content store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/labels.h"
#include "core/base/stream.h"
#include "core/content/descriptor.h"
#include "core/digest/digest.h"

namespace gantry::images {

// Where the blobs of an archive go. One call at a time.
class BlobSink {
 public:
  virtual ~BlobSink() = default;

  // Stores `content`, of `size` bytes or, with nothing, of any number; `ref` names the ingest. A
  // blob that exists already is success. The digest and size of what was stored.
  virtual absl::StatusOr<Descriptor> Store(const std::string& ref, std::optional<uint64_t> size,
                                           const Labels& labels, Reader& content) = 0;

  // A blob that was stored, to read again.
  virtual absl::StatusOr<std::unique_ptr<Reader>> Open(const Descriptor& blob) = 0;

  // A blob labelled as being compressed from `diff_id`, if the store has one; its media type empty.
  virtual absl::StatusOr<std::optional<Descriptor>> FindCompressed(const std::string& diff_id) = 0;
};

// Index, manifest list and layout file beyond this are refused.
inline constexpr size_t kMaxArchiveDocumentBytes = size_t{20} << 20;
inline constexpr size_t kMaxArchiveFiles = size_t{1} << 16;

struct ArchiveImportOptions {
  bool compress = false;  // gzip plain layers of Docker archives
};

// Stores every file of the tar `archive` that can be a blob, and for a Docker archive manifests
// made from it. The index of all images in it: an OCI layout's index.json if there is one, else one
// made from manifest.json, in which annotations "io.containerd.image.name" and
// "org.opencontainers.image.ref.name" give the images' names.
//
// Files are stored under the digest of what they hold, not under the one in their name.
// Errors: InvalidArgument for what is no image archive, or one whose parts are missing; those of
// the tar reader and the sink.
absl::StatusOr<Descriptor> ImportArchive(BlockReader& archive, BlobSink& sink,
                                         const ArchiveImportOptions& options = {});

}  // namespace gantry::images
