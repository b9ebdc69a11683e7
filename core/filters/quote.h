// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gantry::filters {

// The text that `literal` stands for: it starts and ends with the same quote rune (", / or |) and
// may hold the escapes \a \b \f \n \r \t \v \\ \<quote> \ooo \xHH \uHHHH \UHHHHHHHH. Octal and \x
// give a byte, \u and \U a code point. Nothing when an escape is malformed or out of range.
std::optional<std::string> Unquote(std::string_view literal);

}  // namespace gantry::filters
