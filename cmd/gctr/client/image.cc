// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/client/image.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "cmd/gctr/client/content.h"
#include "core/base/status.h"
#include "core/imagespec/media_types.h"

namespace gantry::gctr {
namespace {

namespace images = containerd::services::images::v1;
using Stub = images::Images::Stub;

constexpr int kMaxIndexDepth = 8;

// The platform a child is for: what the index says, else what its config says.
absl::StatusOr<Platform> PlatformOf(const Client& client, const imagespec::Child& child) {
  if (child.platform) return *child.platform;
  ASSIGN_OR_RETURN(const std::vector<imagespec::Child> parts, ChildrenOf(client, child.descriptor));
  if (parts.empty()) return NotFound("{}: no config", child.descriptor.digest);
  ASSIGN_OR_RETURN(const imagespec::ImageConfig config,
                   LoadConfig(client, parts.front().descriptor));
  return config.platform;
}

struct Found {
  size_t rank = 0;
  ImageManifest image;
};

absl::StatusOr<std::optional<Found>> Search(const Client& client, const Descriptor& target,
                                            const PlatformMatcher& platform, int depth);

absl::StatusOr<std::optional<Found>> SearchManifest(const Client& client,
                                                    const imagespec::Child& child,
                                                    const PlatformMatcher& platform) {
  // An image of which not even the documents are here cannot be the one.
  const absl::StatusOr<Platform> made_for = PlatformOf(client, child);
  if (absl::IsNotFound(made_for.status())) return std::nullopt;
  if (!made_for.ok()) return made_for.status();
  const std::optional<size_t> rank = platform.Rank(*made_for);
  if (!rank) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string text,
                   LoadBlob(client, child.descriptor.digest, imagespec::kMaxDocumentBytes));
  Found found{.rank = *rank, .image = {.manifest = child.descriptor}};
  ASSIGN_OR_RETURN(found.image.document, imagespec::ParseManifest(text));
  return found;
}

absl::StatusOr<std::optional<Found>> SearchIndex(const Client& client, const Descriptor& index,
                                                 const PlatformMatcher& platform, int depth) {
  ASSIGN_OR_RETURN(const std::vector<imagespec::Child> children, ChildrenOf(client, index));
  std::optional<Found> best;
  for (const imagespec::Child& child : children) {
    std::optional<Found> found;
    if (imagespec::IsIndex(child.descriptor.media_type)) {
      ASSIGN_OR_RETURN(found, Search(client, child.descriptor, platform, depth + 1));
    } else if (imagespec::IsManifest(child.descriptor.media_type) &&
               (!child.platform || platform.Matches(*child.platform))) {
      ASSIGN_OR_RETURN(found, SearchManifest(client, child, platform));
    }
    if (found && (!best || found->rank < best->rank)) best = std::move(found);
  }
  if (best) best->image.indexes.push_back(index);
  return best;
}

absl::StatusOr<std::optional<Found>> Search(const Client& client, const Descriptor& target,
                                            const PlatformMatcher& platform, int depth) {
  if (depth > kMaxIndexDepth) return InvalidArgument("index {}: nested too deep", target.digest);
  if (imagespec::IsIndex(target.media_type)) return SearchIndex(client, target, platform, depth);
  if (!imagespec::IsManifest(target.media_type)) {
    return NotFound("{}: {} is no image", target.digest, target.media_type);
  }
  ASSIGN_OR_RETURN(const std::string text,
                   LoadBlob(client, target.digest, imagespec::kMaxDocumentBytes));
  Found found{.image = {.manifest = target}};
  ASSIGN_OR_RETURN(found.image.document, imagespec::ParseManifest(text));
  return found;
}

absl::Status AddPlatforms(const Client& client, const imagespec::Child& child, int depth,
                          std::set<std::string>& platforms) {
  const std::string& type = child.descriptor.media_type;
  if (imagespec::IsIndex(type) && depth < kMaxIndexDepth) {
    ASSIGN_OR_RETURN(const std::vector<imagespec::Child> children,
                     ChildrenOf(client, child.descriptor));
    for (const imagespec::Child& inner : children) {
      RETURN_IF_ERROR(AddPlatforms(client, inner, depth + 1, platforms));
    }
  } else if (imagespec::IsManifest(type)) {
    const absl::StatusOr<Platform> platform = PlatformOf(client, child);
    if (absl::IsNotFound(platform.status())) return absl::OkStatus();
    if (!platform.ok()) return platform.status();
    platforms.insert(FormatPlatform(Normalize(*platform)));
  }
  return absl::OkStatus();
}

}  // namespace

Descriptor FromProto(const containerd::types::Descriptor& descriptor) {
  return {.media_type = descriptor.media_type(),
          .digest = descriptor.digest(),
          .size = descriptor.size(),
          .annotations = {descriptor.annotations().begin(), descriptor.annotations().end()}};
}

void ToProto(const Descriptor& descriptor, containerd::types::Descriptor& out) {
  out.set_media_type(descriptor.media_type);
  out.set_digest(descriptor.digest);
  out.set_size(descriptor.size);
  out.mutable_annotations()->insert(descriptor.annotations.begin(), descriptor.annotations.end());
}

absl::StatusOr<images::Image> GetImage(const Client& client, const std::string& name) {
  images::GetImageRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(images::GetImageResponse response,
                   Service<images::Images>(client).Call(&Stub::Get, request));
  return std::move(*response.mutable_image());
}

absl::StatusOr<std::vector<images::Image>> ListImages(const Client& client,
                                                      const std::vector<std::string>& filters) {
  images::ListImagesRequest request;
  request.mutable_filters()->Add(filters.begin(), filters.end());
  ASSIGN_OR_RETURN(const images::ListImagesResponse response,
                   Service<images::Images>(client).Call(&Stub::List, request));
  return std::vector<images::Image>(response.images().begin(), response.images().end());
}

absl::Status PutImage(const Client& client, const images::Image& image) {
  Service<images::Images> service(client);
  images::CreateImageRequest create;
  *create.mutable_image() = image;
  absl::Status status = service.Call(&Stub::Create, create).status();
  if (!absl::IsAlreadyExists(status)) return status;
  images::UpdateImageRequest update;
  *update.mutable_image() = image;
  return service.Call(&Stub::Update, update).status();
}

absl::StatusOr<std::vector<imagespec::Child>> ChildrenOf(const Client& client,
                                                         const Descriptor& document) {
  if (!imagespec::IsIndex(document.media_type) && !imagespec::IsManifest(document.media_type)) {
    return std::vector<imagespec::Child>();
  }
  ASSIGN_OR_RETURN(const std::string text,
                   LoadBlob(client, document.digest, imagespec::kMaxDocumentBytes));
  return imagespec::ParseChildren(document.media_type, text);
}

absl::StatusOr<ImageManifest> FindManifest(const Client& client, const Descriptor& target,
                                           const PlatformMatcher& platform) {
  ASSIGN_OR_RETURN(std::optional<Found> found, Search(client, target, platform, 0));
  if (!found) return NotFound("no match for platform in manifest {}: not found", target.digest);
  return std::move(found->image);
}

absl::StatusOr<imagespec::ImageConfig> LoadConfig(const Client& client, const Descriptor& config) {
  if (!imagespec::IsConfig(config.media_type)) {
    return InvalidArgument("unknown image config media type {}", config.media_type);
  }
  ASSIGN_OR_RETURN(const std::string text,
                   LoadBlob(client, config.digest, imagespec::kMaxDocumentBytes));
  return imagespec::ParseImageConfig(text);
}

absl::StatusOr<std::set<std::string>> ImagePlatforms(const Client& client,
                                                     const Descriptor& target) {
  std::set<std::string> platforms;
  RETURN_IF_ERROR(AddPlatforms(client, {.descriptor = target}, 0, platforms));
  return platforms;
}

int64_t ImageSize(const ImageManifest& image) {
  int64_t size = image.manifest.size + image.document.config.size;
  for (const Descriptor& layer : image.document.layers) size += layer.size;
  for (const Descriptor& index : image.indexes) size += index.size;
  return size;
}

}  // namespace gantry::gctr
