// SPDX-License-Identifier: Apache-2.0
// Indexes and manifests: OCI image-spec 1.1, image-index.md and manifest.md; Docker's image
// manifest 2.2.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/content/descriptor.h"
#include "core/json/json.h"
#include "core/platform/platform.h"

namespace gantry::imagespec {

// Larger indexes, manifests and configs are refused.
inline constexpr size_t kMaxDocumentBytes = size_t{8} << 20;

// A descriptor as it stands in a document.
struct Child {
  Descriptor descriptor;
  std::optional<Platform> platform = {};
};

// InvalidArgument when the digest is none or the size is negative.
absl::StatusOr<Child> ParseChild(const Json& value);
Json ToJson(const Child& child);

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;
};

// InvalidArgument, too, for a document that could be read as an index as well: one that claims both
// is used to show different images to different readers.
absl::StatusOr<Manifest> ParseManifest(std::string_view text);

absl::StatusOr<std::vector<Child>> ParseIndex(std::string_view text);

// What a document of this type refers to, in its order: config and layers, or the index's
// manifests. Nothing for other types.
absl::StatusOr<std::vector<Child>> ParseChildren(std::string_view media_type,
                                                 std::string_view text);

}  // namespace gantry::imagespec
