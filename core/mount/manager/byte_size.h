// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace gantry::mount {

// "65536", "64k", "64MB", "1.5GiB", in any case and with a space before the unit if one likes:
// units are powers of 1024. Nothing for a text that is no size.
std::optional<int64_t> ParseByteSize(std::string_view text);

}  // namespace gantry::mount
