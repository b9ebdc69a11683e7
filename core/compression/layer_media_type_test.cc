// SPDX-License-Identifier: Apache-2.0
#include "core/compression/layer_media_type.h"

#include <gtest/gtest.h>

namespace gantry::compression {
namespace {

TEST(LayerMediaTypeTest, TarLayersAndTheirHints) {
  EXPECT_EQ(LayerCompressionOf(kOciLayer), LayerCompression::kNone);
  EXPECT_EQ(LayerCompressionOf(kOciLayerGzip), LayerCompression::kGzip);
  EXPECT_EQ(LayerCompressionOf(kOciLayerZstd), LayerCompression::kZstd);
  EXPECT_EQ(LayerCompressionOf("application/vnd.docker.image.rootfs.diff.tar"),
            LayerCompression::kUnknown);
  EXPECT_EQ(LayerCompressionOf("application/vnd.docker.image.rootfs.diff.tar.gzip"),
            LayerCompression::kGzip);
  EXPECT_EQ(LayerCompressionOf("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
            LayerCompression::kGzip);
}

TEST(LayerMediaTypeTest, WhatDecompressionAloneCannotOpenIsNothing) {
  EXPECT_FALSE(LayerCompressionOf("").has_value());
  EXPECT_FALSE(LayerCompressionOf("application/vnd.oci.image.config.v1+json").has_value());
  EXPECT_FALSE(LayerCompressionOf("application/vnd.docker.image.rootfs.diff.tar.gzip+encrypted")
                   .has_value());
  EXPECT_FALSE(
      LayerCompressionOf("application/vnd.oci.image.layer.v1.tar+gzip+encrypted").has_value());
  EXPECT_FALSE(LayerCompressionOf("application/vnd.erofs.layer.v1").has_value());
}

}  // namespace
}  // namespace gantry::compression
