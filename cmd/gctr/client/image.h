// SPDX-License-Identifier: Apache-2.0
// Image records and the documents behind them.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "core/content/descriptor.h"
#include "core/imagespec/documents.h"
#include "core/imagespec/image_config.h"
#include "core/platform/matcher.h"
#include "proto/services/images/v1/images.grpc.pb.h"

namespace gantry::gctr {

Descriptor FromProto(const containerd::types::Descriptor& descriptor);
void ToProto(const Descriptor& descriptor, containerd::types::Descriptor& out);

absl::StatusOr<containerd::services::images::v1::Image> GetImage(const Client& client,
                                                                 const std::string& name);
absl::StatusOr<std::vector<containerd::services::images::v1::Image>> ListImages(
    const Client& client, const std::vector<std::string>& filters);

// Creates the record, or replaces one of the name.
absl::Status PutImage(const Client& client, const containerd::services::images::v1::Image& image);

// What an index or manifest refers to; nothing for other types.
absl::StatusOr<std::vector<imagespec::Child>> ChildrenOf(const Client& client,
                                                         const Descriptor& document);

// An image for one platform.
struct ImageManifest {
  Descriptor manifest;
  imagespec::Manifest document;
  std::vector<Descriptor> indexes;  // passed on the way to it
};

// The best manifest behind `target`. NotFound when there is none for the platform, or a document is
// not there.
absl::StatusOr<ImageManifest> FindManifest(const Client& client, const Descriptor& target,
                                           const PlatformMatcher& platform);

absl::StatusOr<imagespec::ImageConfig> LoadConfig(const Client& client, const Descriptor& config);

// Of all manifests behind `target`, as FormatPlatform() writes them. Manifests whose documents are
// not there are left out.
absl::StatusOr<std::set<std::string>> ImagePlatforms(const Client& client,
                                                     const Descriptor& target);

// The sizes of an image's documents and layers, added up.
int64_t ImageSize(const ImageManifest& image);

}  // namespace gantry::gctr
