// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace gantry::shim {

// SHA-256 (FIPS 180-4) of short texts, as lower-case hexadecimal text. For names: nothing is kept
// secret by it, and no trouble is taken to be fast.
std::string Sha256Hex(std::string_view text);

}  // namespace gantry::shim
