// SPDX-License-Identifier: Apache-2.0
#include "core/compression/layer_media_type.h"

#include <algorithm>
#include <array>
#include <utility>

namespace gantry::compression {
namespace {

using Row = std::pair<std::string_view, LayerCompression>;

// Docker's plain type was used for compressed bytes too, hence "unknown".
constexpr std::array<Row, 11> kTypes = {{
    {kOciLayer, LayerCompression::kNone},
    {kOciLayerGzip, LayerCompression::kGzip},
    {kOciLayerZstd, LayerCompression::kZstd},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar", LayerCompression::kNone},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", LayerCompression::kGzip},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", LayerCompression::kZstd},
    {"application/vnd.docker.image.rootfs.diff.tar", LayerCompression::kUnknown},
    {"application/vnd.docker.image.rootfs.diff.tar.gzip", LayerCompression::kGzip},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", LayerCompression::kZstd},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar", LayerCompression::kUnknown},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", LayerCompression::kGzip},
}};

}  // namespace

std::optional<LayerCompression> LayerCompressionOf(std::string_view media_type) {
  const auto row = std::find_if(kTypes.begin(), kTypes.end(),
                                [&](const Row& each) { return each.first == media_type; });
  if (row == kTypes.end()) return std::nullopt;
  return row->second;
}

}  // namespace gantry::compression
