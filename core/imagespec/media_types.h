// SPDX-License-Identifier: Apache-2.0
// What a media type names: OCI image-spec 1.1, media-types.md, and Docker's image manifest 2.2.
#pragma once

#include <string_view>

namespace gantry::imagespec {

inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kDockerIndex =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view kDockerLayerZstd =
    "application/vnd.docker.image.rootfs.diff.tar.zstd";

bool IsIndex(std::string_view media_type);
bool IsManifest(std::string_view media_type);
bool IsConfig(std::string_view media_type);
// A layer of whatever compression, encrypted or not to be distributed ones included.
bool IsLayer(std::string_view media_type);

}  // namespace gantry::imagespec
