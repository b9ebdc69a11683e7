// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/containers/container_store.h"

namespace gantry::containers {

std::string EncodeContainer(const Container& container);
absl::StatusOr<Container> DecodeContainer(std::string_view id, std::string_view bytes);

}  // namespace gantry::containers
