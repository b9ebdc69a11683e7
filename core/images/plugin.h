// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/images/image_store.h"
#include "core/plugin/plugin.h"

namespace gantry::images {

inline constexpr plugin::Kind<ImageStore> kImageService{"io.containerd.service.v1"};

// The ImageStore as plugin images-service.
plugin::Registration StorePlugin();

}  // namespace gantry::images
