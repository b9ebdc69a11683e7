// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace gantry::shim {

// Whether an id may become a file's name: 1 to 76 letters and digits in groups that a single '.',
// '_' or '-' joins, which is what daemons allow too.
constexpr bool IsIdentifier(std::string_view id) {
  constexpr size_t kMaxLength = 76;
  if (id.empty() || id.size() > kMaxLength) return false;
  bool after_letter = false;
  for (const char c : id) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const bool joint = c == '.' || c == '_' || c == '-';
    if (!letter && !(joint && after_letter)) return false;
    after_letter = letter;
  }
  return after_letter;
}

}  // namespace gantry::shim
