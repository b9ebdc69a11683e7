// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/images/image_store.h"

namespace gantry::images {

std::string EncodeImage(const Image& image);
absl::StatusOr<Image> DecodeImage(std::string_view name, std::string_view bytes);

}  // namespace gantry::images
