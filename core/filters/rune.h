// SPDX-License-Identifier: Apache-2.0
// Unicode code points of the filter language.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gantry::filters {

struct Rune {
  char32_t code = 0;
  size_t bytes = 0;  // 0: there is no well-formed UTF-8 at this place
};

// The code point at the start of `text`, which is not empty.
Rune DecodeRune(std::string_view text);

// Appends UTF-8; a surrogate becomes U+FFFD. `code` is at most U+10FFFF.
void AppendRune(std::string& out, char32_t code);

// White space as Unicode has it.
bool IsSpace(char32_t code);

// Letters, marks, numbers, punctuation, symbols: what a bare value is made of.
bool IsGraphic(char32_t code);

}  // namespace gantry::filters
