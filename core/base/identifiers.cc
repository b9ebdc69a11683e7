// SPDX-License-Identifier: Apache-2.0
#include "core/base/identifiers.h"

#include "absl/strings/ascii.h"
#include "core/base/status.h"

namespace gantry {

absl::Status ValidateIdentifier(std::string_view id) {
  if (id.empty()) return InvalidArgument("identifier must not be empty");
  if (id.size() > kMaxIdentifierBytes) {
    return InvalidArgument("identifier \"{}\" greater than maximum length ({} characters)", id,
                           kMaxIdentifierBytes);
  }
  bool after_alnum = false;
  for (const char c : id) {
    const bool alnum = absl::ascii_isalnum(static_cast<unsigned char>(c));
    const bool separator = c == '.' || c == '_' || c == '-';
    if (!alnum && !(separator && after_alnum)) {
      return InvalidArgument(
          "identifier {:?} must be alphanumeric runs joined by single '.', '_' or '-'", id);
    }
    after_alnum = alnum;
  }
  if (!after_alnum) return InvalidArgument("identifier \"{}\" must end in a letter or digit", id);
  return absl::OkStatus();
}

}  // namespace gantry
