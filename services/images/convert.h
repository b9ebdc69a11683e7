// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/filters/filter.h"
#include "core/images/image_store.h"
#include "proto/services/images/v1/images.pb.h"

namespace gantry::images {

Image FromProto(const ::containerd::services::images::v1::Image& image);
void ToProto(const Image& image, ::containerd::services::images::v1::Image* out);
bool Matches(const filters::Filter& filter, const Image& image);

}  // namespace gantry::images
