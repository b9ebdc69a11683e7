// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::shim {

// One of the strings by which a client names a stream: a URI, or a plain path.
struct StdioUri {
  std::string scheme;  // lower-case; empty: a plain path, taken as it is
  std::string path;    // percent-decoded
  // Decoded, in the order of the URI. Of pairs with the same key the first alone.
  std::vector<std::pair<std::string, std::string>> query;
};

// EINVAL, naming the text: a bad escape, or a NUL character. What has no scheme is not looked into.
kernel::Result<StdioUri> ParseStdioUri(std::string_view text);

}  // namespace gantry::shim
