// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace gantry::compression {

inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";

// What a media type says of a layer's compression. It is a hint: writers get it wrong, so readers
// look at the bytes.
enum class LayerCompression { kUnknown, kNone, kGzip, kZstd };

// Nothing when `media_type` is no tar layer, or a layer that needs more than decompression, such
// as "+encrypted". Knows OCI image-spec 1.1 types, also the non-distributable ones, and Docker's.
std::optional<LayerCompression> LayerCompressionOf(std::string_view media_type);

}  // namespace gantry::compression
