// SPDX-License-Identifier: Apache-2.0
#include "services/images/convert.h"

#include <optional>
#include <string>

#include "services/rpc/convert.h"

namespace gantry::images {
namespace {

std::optional<std::string> TargetField(const Descriptor& target, filters::FieldPath path) {
  if (path.size() < 2) return std::nullopt;
  if (path[1] == "digest") return filters::NonEmpty(target.digest);
  if (path[1] == "mediatype") return filters::NonEmpty(target.media_type);
  return std::nullopt;
}

}  // namespace

namespace pb = ::containerd::services::images::v1;

Image FromProto(const pb::Image& image) {
  return {.name = image.name(),
          .labels = rpc::FromProto(image.labels()),
          .target = {.media_type = image.target().media_type(),
                     .digest = image.target().digest(),
                     .size = image.target().size(),
                     .annotations = rpc::FromProto(image.target().annotations())}};
}

void ToProto(const Image& image, pb::Image* out) {
  out->set_name(image.name);
  rpc::ToProto(image.labels, out->mutable_labels());
  auto& target = *out->mutable_target();
  target.set_media_type(image.target.media_type);
  target.set_digest(image.target.digest);
  target.set_size(image.target.size);
  rpc::ToProto(image.target.annotations, target.mutable_annotations());
  *out->mutable_created_at() = rpc::ToProto(image.created_at);
  *out->mutable_updated_at() = rpc::ToProto(image.updated_at);
}

bool Matches(const filters::Filter& filter, const Image& image) {
  return filter.Matches([&](filters::FieldPath path) -> std::optional<std::string> {
    if (path[0] == "name") return filters::NonEmpty(image.name);
    if (path[0] == "target") return TargetField(image.target, path);
    if (path[0] == "labels") return filters::Lookup(image.labels, path);
    if (path[0] == "annotations") return filters::Lookup(image.target.annotations, path);
    return std::nullopt;
  });
}

}  // namespace gantry::images
