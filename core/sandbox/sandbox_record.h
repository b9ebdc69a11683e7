// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/sandbox/sandbox_store.h"

namespace gantry::sandbox {

std::string EncodeSandbox(const Sandbox& sandbox);
absl::StatusOr<Sandbox> DecodeSandbox(std::string_view id, std::string_view bytes);

}  // namespace gantry::sandbox
