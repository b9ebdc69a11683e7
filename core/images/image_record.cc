// SPDX-License-Identifier: Apache-2.0
#include "core/images/image_record.h"

#include "core/metadata/record.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::images {

using Record = ::gantry::metadata::v1::ImageRecord;

std::string EncodeImage(const Image& image) {
  Record record;
  metadata::ToProto(image.labels, record.mutable_labels());
  auto& target = *record.mutable_target();
  target.set_media_type(image.target.media_type);
  target.set_digest(image.target.digest);
  target.set_size(image.target.size);
  metadata::ToProto(image.target.annotations, target.mutable_annotations());
  *record.mutable_created_at() = metadata::ToProto(image.created_at);
  *record.mutable_updated_at() = metadata::ToProto(image.updated_at);
  return record.SerializeAsString();
}

absl::StatusOr<Image> DecodeImage(std::string_view name, std::string_view bytes) {
  ASSIGN_OR_RETURN(const Record record, metadata::Decode<Record>(bytes));
  return Image{.name = std::string(name),
               .labels = metadata::FromProto(record.labels()),
               .target = {.media_type = record.target().media_type(),
                          .digest = record.target().digest(),
                          .size = record.target().size(),
                          .annotations = metadata::FromProto(record.target().annotations())},
               .created_at = metadata::FromProto(record.created_at()),
               .updated_at = metadata::FromProto(record.updated_at())};
}

}  // namespace gantry::images
