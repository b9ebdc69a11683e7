// SPDX-License-Identifier: Apache-2.0
#include "core/images/image_store.h"

#include "core/db/key.h"
#include "core/digest/digest.h"
#include "core/images/image_record.h"
#include "core/metadata/lease_link.h"
#include "core/metadata/record.h"
#include "proto/events/image.pb.h"

namespace gantry::images {
namespace {

using metadata::Node;
using metadata::NodeType;
using metadata::TableId;

constexpr std::string_view kExpireLabel = "containerd.io/gc.expire";

absl::Status Validate(const Image& image) {
  if (image.name.empty()) return InvalidArgument("image name must not be empty");
  RETURN_IF_ERROR(db::CheckComponent("image name", image.name));
  RETURN_IF_ERROR(Annotate(ValidateLabels(image.labels), fmt::format("image {:?}", image.name)));
  if (image.target.digest.empty())
    return InvalidArgument("image {:?}: target digest must not be empty", image.name);
  RETURN_IF_ERROR(Annotate(Digest::Parse(image.target.digest).status(),
                           fmt::format("image {:?} target", image.name)));
  if (image.target.size <= 0)
    return InvalidArgument("image {:?}: target size must be greater than zero", image.name);
  if (image.target.media_type.empty())
    return InvalidArgument("image {:?}: target media type must be set", image.name);
  return absl::OkStatus();
}

// Writes the image and tells the collector what it refers to. Only an image that may expire needs a
// lease.
absl::Status Store(metadata::WriteTxn& txn, const Context& ctx, const Image& image) {
  const Node node{NodeType::kImage, ctx.ns, image.name};
  txn.Touch(node);
  txn.Touch({NodeType::kContent, ctx.ns, image.target.digest});
  txn.TouchLabels(node, image.labels);
  if (image.labels.contains(kExpireLabel)) {
    RETURN_IF_ERROR(metadata::AddToLease(txn, ctx, metadata::kImageResource, image.name));
  }
  return txn.Put(TableId::kImages, db::JoinKey({ctx.ns, image.name}), EncodeImage(image));
}

absl::Status ApplyPath(std::string_view path, const Image& from, Image& to) {
  if (metadata::ApplyLabelPath(path, "labels", from.labels, to.labels)) return absl::OkStatus();
  if (metadata::ApplyLabelPath(path, "annotations", from.target.annotations,
                               to.target.annotations)) {
    return absl::OkStatus();
  }
  if (path != "target")
    return InvalidArgument("cannot update {:?} field on image {:?}", path, from.name);
  to.target = from.target;
  return absl::OkStatus();
}

absl::Status Apply(const metadata::FieldMask& mask, const Image& from, Image& to) {
  if (mask.empty()) {
    to.labels = from.labels;
    to.target = from.target;
  }
  for (const std::string& path : mask) RETURN_IF_ERROR(ApplyPath(path, from, to));
  DropEmptyLabels(to.labels);
  return Validate(to);
}

}  // namespace

absl::StatusOr<Image> ImageStore::Get(const Context& ctx, std::string_view name) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ASSIGN_OR_RETURN(const auto record, txn.Get(TableId::kImages, db::JoinKey({ctx.ns, name})));
  if (!record) return NotFound("image {:?}", name);
  return DecodeImage(name, *record);
}

absl::StatusOr<std::vector<Image>> ImageStore::List(const Context& ctx, std::string_view after,
                                                    size_t limit) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  const std::string prefix = db::KeyPrefix({ctx.ns});
  const std::string start = after.empty() ? std::string() : prefix + std::string(after);
  std::vector<Image> images;
  RETURN_IF_ERROR(txn.raw().ForEach(
      txn.table(TableId::kImages), prefix, start,
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(Image image, DecodeImage(key.substr(prefix.size()), bytes));
        images.push_back(std::move(image));
        return images.size() == limit ? db::Scan::kStop : db::Scan::kContinue;
      }));
  return images;
}

absl::StatusOr<Image> ImageStore::Create(const Context& ctx, Image image,
                                         std::optional<absl::Time> epoch) {
  RETURN_IF_ERROR(Validate(image));
  DropEmptyLabels(image.labels);
  RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const bool known,
                     txn.Has(TableId::kImages, db::JoinKey({ctx.ns, image.name})));
    if (known) return AlreadyExists("image {:?}", image.name);
    image.created_at = image.updated_at = epoch.value_or(txn.now());
    RETURN_IF_ERROR(txn.EnsureNamespace(ctx.ns));
    return Store(txn, ctx, image);
  }));
  containerd::services::images::v1::ImageCreate event;
  event.set_name(image.name);
  metadata::ToProto(image.labels, event.mutable_labels());
  RETURN_IF_ERROR(events_.Publish(ctx, "/images/create", event));
  return image;
}

absl::StatusOr<Image> ImageStore::Update(const Context& ctx, const Image& image,
                                         const metadata::FieldMask& mask,
                                         std::optional<absl::Time> epoch) {
  if (image.name.empty()) return InvalidArgument("image name is required for update");
  ASSIGN_OR_RETURN(Image result,
                   metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Image> {
                     ASSIGN_OR_RETURN(const auto record,
                                      txn.Get(TableId::kImages, db::JoinKey({ctx.ns, image.name})));
                     if (!record) return NotFound("image {:?}", image.name);
                     ASSIGN_OR_RETURN(Image updated, DecodeImage(image.name, *record));
                     const std::string old_digest = updated.target.digest;
                     RETURN_IF_ERROR(Apply(mask, image, updated));
                     updated.updated_at = epoch.value_or(txn.now());
                     RETURN_IF_ERROR(Store(txn, ctx, updated));
                     if (updated.target.digest != old_digest) txn.MarkDirty();
                     return updated;
                   }));
  containerd::services::images::v1::ImageUpdate event;
  event.set_name(result.name);
  metadata::ToProto(result.labels, event.mutable_labels());
  RETURN_IF_ERROR(events_.Publish(ctx, "/images/update", event));
  return result;
}

absl::Status ImageStore::Delete(const Context& ctx, std::string_view name,
                                std::string_view expected_digest) {
  const std::string key = db::JoinKey({ctx.ns, name});
  RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const auto record, txn.Get(TableId::kImages, key));
    if (!record) return NotFound("image {:?}", name);
    if (!expected_digest.empty()) {
      ASSIGN_OR_RETURN(const Image image, DecodeImage(name, *record));
      if (image.target.digest != expected_digest) {
        return NotFound("image {:?} with target {}, which now is {}", name, expected_digest,
                        image.target.digest);
      }
    }
    RETURN_IF_ERROR(metadata::RemoveFromLease(txn, ctx, metadata::kImageResource, name));
    txn.MarkDirty();
    return txn.Delete(TableId::kImages, key).status();
  }));
  containerd::services::images::v1::ImageDelete event;
  event.set_name(std::string(name));
  return events_.Publish(ctx, "/images/delete", event);
}

}  // namespace gantry::images
