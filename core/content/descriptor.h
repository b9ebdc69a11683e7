// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace gantry {

// Names a blob: OCI image-spec 1.1, descriptor.md. A value from outside until checked: `digest` is
// text that Digest::Parse() may refuse, `size` may be negative.
struct Descriptor {
  std::string media_type;
  std::string digest;
  int64_t size = 0;
  std::map<std::string, std::string, std::less<>> annotations = {};

  bool operator==(const Descriptor&) const = default;
};

}  // namespace gantry
