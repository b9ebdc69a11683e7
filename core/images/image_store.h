// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/content/descriptor.h"
#include "core/events/publisher.h"
#include "core/metadata/field_mask.h"
#include "core/metadata/metadata.h"

namespace gantry::images {

// A name for a target descriptor. Names are free text; of the target, media type, digest, size and
// annotations are kept.
struct Image {
  std::string name;
  Labels labels;
  Descriptor target;
  absl::Time created_at;
  absl::Time updated_at;
};

// The images of all namespaces.
//
// Threads: all methods from any thread; they may block on the disk. Changes are announced once they
// are durable. Errors:  NotFound, AlreadyExists, InvalidArgument (name, label, digest, size, media
// type, mask path).
class ImageStore {
 public:
  ImageStore(metadata::Metadata& metadata, events::Publisher& events)
      : metadata_(metadata), events_(events) {}

  absl::StatusOr<Image> Get(const Context& ctx, std::string_view name) const;
  // In byte order of the name; those after `after`, at most `limit` (0: all).
  absl::StatusOr<std::vector<Image>> List(const Context& ctx, std::string_view after = {},
                                          size_t limit = 0) const;
  // Both times become `epoch` or now. The target blob need not exist.
  absl::StatusOr<Image> Create(const Context& ctx, Image image,
                               std::optional<absl::Time> epoch = std::nullopt);
  // Paths: labels, labels.<key>, target, annotations, annotations.<key>; none replaces labels and
  // target.
  absl::StatusOr<Image> Update(const Context& ctx, const Image& image,
                               const metadata::FieldMask& mask,
                               std::optional<absl::Time> epoch = std::nullopt);
  // With `expected_digest`, NotFound unless the image still has this target.
  absl::Status Delete(const Context& ctx, std::string_view name,
                      std::string_view expected_digest = {});

 private:
  metadata::Metadata& metadata_;
  events::Publisher& events_;
};

}  // namespace gantry::images
