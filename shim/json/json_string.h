// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace gantry::shim {

// The text that stands for `escaped`, the inside of a JSON string that JsonReader has accepted.
// Half a surrogate pair becomes U+FFFD, as Go has it; other bytes are taken as they are.
std::string UnescapeJson(std::string_view escaped);

// Adds `text` as a JSON string, quotes included.
void AppendJsonString(std::string& out, std::string_view text);

}  // namespace gantry::shim
